"""Attacks of a command or method on its supervisor, which must neither fail nor wait for ever."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aar.errors import ProblemError
from aar.problems.dataset import Preference
from aar.problems.prompts import fill
from aar.sandbox import PYTHON, Limits, Shell, Spec, provider
from aar.sandbox.processes import descendants
from tests.attacks.harness import (
    HERE,
    LAUNCH,
    LIMITS,
    Attack,
    attacks,
    find_failure,
    is_usable,
    on_the_host,
    with_patience,
)  # fmt: skip

pytestmark = pytest.mark.slow  # a minute or two in total

SECONDS = 1.5
READ_MARK = "read -r -u 10 line; set -- $line; "  # bash has its input at 10 and the pipe for exit codes at 11
SCRIPTS = {
    "an exit code that is a digit and not a number": READ_MARK + 'echo "$4 ²" >&11; sleep 60',
    "an exit code of five thousand digits": READ_MARK + "printf '%s %05000d\\n' $4 1 >&11; sleep 60",
    "an exit code that is not text": READ_MARK + r"printf '%s \xff\n' $4 >&11; sleep 60",
    "an exit code before the end": READ_MARK + 'echo "$4 0" >&11; while :; do :; done',
    "endless lines instead of an exit code": "while :; do echo 0123456789; done >&11",
    "an endless line instead of an exit code": "cat /dev/zero >&11",
    "no pipe for an exit code": "exec 11>&-; sleep 60",
    "no input": "exec 10<&-; sleep 60",
    "no output": "exec >&- 2>&-; sleep 60",
    "a printf of its own": "printf() { :; }; true",
    "no printf": "enable -n printf; alias printf=true; shopt -s expand_aliases",
    "a bash that stops": "kill -STOP $$",
    "a bash that kills itself": "kill -KILL $$",
    "a bash that becomes something else": "exec sleep 60",
    "a bash that traps its end": "trap : TERM INT HUP EXIT; set -m; sleep 60",
    "a bash that ends at the first error": "set -e; false",
    "a bash that reads what comes next": "cat <&10 >/dev/null",
    "the end of the quotes": "true'; echo outside; '",
    "a program whose name is not text": r"""cp /usr/bin/sleep $'\xff\xfe'; ./$'\xff\xfe' 60""",
    "its own name that is not text": r"""printf '\xff' >/proc/$$/comm; sleep 60""",
    "a limit below what bash needs": "ulimit -v 1000; sleep 60",
    "no files": "ulimit -n 3; sleep 60",
    "a workspace that is gone": "cd /; rm -rf /work/* /work/.[!.]*; mv /work /tmp/x; sleep 60",
    "a file name of every byte": r"""for code in {1..255}; do touch "$(printf "\\x$(printf %x $code)")"; done; true""",
    "a process for each descriptor": "for i in $(seq 100); do sleep 60 & done; sleep 60",
}

SUCCEED_ON_A_HOST = (
    "cpu_of_children_that_are_not_waited_for", "the_command_that_started_the_sandbox",
    "more_descriptors_in_transit", "a_higher_share_of_the_disk", "memory_that_cannot_be_taken_away",
)  # fmt: skip
"""Attacks that succeed on a host, for root, without harm. Those with names are tested below.

The others would write into the first process of the machine, leave files in /work that are hard to remove, or need a
root with every capability.
"""
FACTS = {
    "memory": LIMITS.memory_bytes, "disk_bytes": LIMITS.disk_bytes, "open_files": LIMITS.open_files,
    "processes": LIMITS.processes,
}  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="what an ordinary user may do on a host differs between machines")
@pytest.mark.parametrize("name", SUCCEED_ON_A_HOST)
def test_the_attack_works_on_a_host_without_a_sandbox(name: str) -> None:
    assert on_the_host(Attack("watchers", name), FACTS).through


def read_as_text(root: int) -> None:
    """Read the /proc entries of a process and its descendants as text, again and again until one is not text."""
    while True:
        for pid in descendants(root):
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        time.sleep(0.1)


@pytest.mark.parametrize("name", ["a_name_that_is_not_text", "a_thread_whose_name_is_not_text"])
def test_a_name_that_is_not_text_breaks_a_reader_that_expects_text(name: str) -> None:
    command = [sys.executable, "-c", LAUNCH, str(HERE), "watchers", name, json.dumps(FACTS)]
    with subprocess.Popen(command, start_new_session=True) as attacker:
        try:
            with pytest.raises(UnicodeDecodeError):
                with_patience(lambda: read_as_text(attacker.pid))
        finally:
            for pid in descendants(attacker.pid):
                os.kill(pid, 9)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_shell_survives_attacks_on_its_bash(script: str, tmp_path: Path) -> None:
    def attacked() -> tuple[float, bool]:
        with Shell(provider("bubblewrap"), tmp_path, LIMITS) as shell:
            reply = shell.run(script, SECONDS)
            return reply.seconds, is_usable(shell)

    seconds, usable = with_patience(attacked, 20)
    assert seconds < SECONDS + 5
    assert usable


def test_a_workspace_too_deep_to_walk_can_be_tidied_and_breaks_nothing(tmp_path: Path) -> None:
    place = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=place)
        place, outer = os.open("d", os.O_RDONLY, dir_fd=place), place
        os.close(outer)
    os.close(place)
    try:
        with Shell(provider("bubblewrap"), tmp_path, LIMITS) as shell:
            assert shell.run("rm -r d", 20).exit_code == 0
            assert shell.run("ls", 20).output == ""
    finally:
        subprocess.run(["rm", "-rf", *tmp_path.iterdir()], check=True)


def test_a_template_does_not_multiply_the_texts() -> None:
    """Otherwise a template of 4,000 characters turns a data set of ordinary size into ten gibibytes."""
    example = Preference(prompt="question", first="a" * 1500, second="b" * 1500)
    with pytest.raises(ProblemError):
        fill(example, "{first}" * 570 + "{second}")


def test_the_hosts_files_are_not_counted_while_the_sandbox_is_set_up() -> None:
    """For some milliseconds the root of a sandbox's first process is still the host's."""
    spec = Spec((*PYTHON, "-c", "import time; time.sleep(0.3)"), Limits(files=1000))
    for _ in range(10):
        with provider("bubblewrap").open(spec) as sandbox:
            running = sandbox.start()
            excesses = [sandbox.monitor(running).excess() for _ in range(30)]
            sandbox.watch(running)
        assert set(excesses) == {None}


@pytest.mark.parametrize("attack", list(attacks("labels")), ids=str)
def test_a_training_program_sees_no_more_than_it_needs(attack: Attack) -> None:
    assert find_failure(attack, "training", FACTS) is None
