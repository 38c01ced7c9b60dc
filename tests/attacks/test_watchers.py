"""What a shell command, or method code, may do to those who watch it: they must neither die of it nor wait for ever."""

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
    comes_back,
    patiently,
    what_is_wrong,
    without_a_wall,
)  # fmt: skip

pytestmark = pytest.mark.slow  # a minute or two in all

SECONDS = 1.5
READ_MARK = "read -r -u 10 line; set -- $line; "  # bash keeps its input at 10 and the way to say exit codes at 11
SCRIPTS = {
    "an exit code that is a digit and no number": READ_MARK + 'echo "$4 ²" >&11; sleep 60',
    "an exit code of five thousand digits": READ_MARK + "printf '%s %05000d\\n' $4 1 >&11; sleep 60",
    "an exit code that is no text": READ_MARK + r"printf '%s \xff\n' $4 >&11; sleep 60",
    "an exit code before the end": READ_MARK + 'echo "$4 0" >&11; while :; do :; done',
    "lines without end instead of an exit code": "while :; do echo 0123456789; done >&11",
    "one line without end instead of an exit code": "cat /dev/zero >&11",
    "no way to say an exit code": "exec 11>&-; sleep 60",
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
    "a program whose name is no text": r"""cp /usr/bin/sleep $'\xff\xfe'; ./$'\xff\xfe' 60""",
    "a name of its own that is no text": r"""printf '\xff' >/proc/$$/comm; sleep 60""",
    "a limit below what bash needs": "ulimit -v 1000; sleep 60",
    "no files": "ulimit -n 3; sleep 60",
    "a workspace that is gone": "cd /; rm -rf /work/* /work/.[!.]*; mv /work /tmp/x; sleep 60",
    "a file name of every byte": r"""for code in {1..255}; do touch "$(printf "\\x$(printf %x $code)")"; done; true""",
    "a process for each descriptor": "for i in $(seq 100); do sleep 60 & done; sleep 60",
}

WITHOUT_A_WALL = (
    "cpu_of_children_that_are_not_waited_for", "what_started_the_sandbox",
    "more_descriptors_in_the_mail", "a_higher_share_of_the_disk", "memory_that_cannot_be_taken_away",
)  # fmt: skip
"""Those that succeed on a host, for root, and do it no harm. The names are looked at below.

The rest would write into the first process of the machine, leave in somebody's /work what is hard to remove, or need a
root with every capability.
"""
FACTS = {
    "memory": LIMITS.memory_bytes, "disk_bytes": LIMITS.disk_bytes, "open_files": LIMITS.open_files,
    "processes": LIMITS.processes,
}  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="what an ordinary user may do without a wall differs between machines")
@pytest.mark.parametrize("name", WITHOUT_A_WALL)
def test_the_attack_works_where_there_is_no_wall(name: str) -> None:
    assert without_a_wall(Attack("watchers", name), FACTS).through


def read_as_text(root: int) -> None:
    """What /proc says of a process and those below it, again and again until that is no text."""
    while True:
        for pid in descendants(root):
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        time.sleep(0.1)


@pytest.mark.parametrize("name", ["a_name_that_is_no_text", "a_thread_whose_name_is_no_text"])
def test_a_name_that_is_no_text_is_none_to_whoever_reads_it(name: str) -> None:
    command = [sys.executable, "-c", LAUNCH, str(HERE), "watchers", name, json.dumps(FACTS)]
    with subprocess.Popen(command, start_new_session=True) as attacker:
        try:
            with pytest.raises(UnicodeDecodeError):
                patiently(lambda: read_as_text(attacker.pid))
        finally:
            for pid in descendants(attacker.pid):
                os.kill(pid, 9)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_shell_survives_what_is_done_to_its_bash(script: str, tmp_path: Path) -> None:
    def attacked() -> tuple[float, bool]:
        with Shell(provider("bubblewrap"), tmp_path, LIMITS) as shell:
            reply = shell.run(script, SECONDS)
            return reply.seconds, comes_back(shell)

    seconds, usable = patiently(attacked, 20)
    assert seconds < SECONDS + 5
    assert usable


def test_a_workspace_too_deep_to_walk_can_be_tidied_and_crashes_nobody(tmp_path: Path) -> None:
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
    """Else a template of 4,000 characters makes ten gibibytes of a data set of ordinary size."""
    example = Preference(prompt="question", first="a" * 1500, second="b" * 1500)
    with pytest.raises(ProblemError):
        fill(example, "{first}" * 570 + "{second}")


def test_what_the_host_has_is_not_counted_before_the_wall_stands() -> None:
    """For some milliseconds the root of a sandbox's first process is still the host's."""
    spec = Spec((*PYTHON, "-c", "import time; time.sleep(0.3)"), Limits(files=1000))
    for _ in range(10):
        with provider("bubblewrap").open(spec) as sandbox:
            running = sandbox.start()
            looks = [sandbox.monitor(running).excess() for _ in range(30)]
            sandbox.watch(running)
        assert set(looks) == {None}


@pytest.mark.parametrize("attack", list(attacks("labels")), ids=str)
def test_a_training_program_sees_no_more_than_it_needs(attack: Attack) -> None:
    assert what_is_wrong(attack, "training", FACTS) is None
