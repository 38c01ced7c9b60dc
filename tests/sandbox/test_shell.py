"""A researcher's shell: what persists between commands, what a limit ends, and what remains."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from aar.errors import SandboxError
from aar.sandbox import Shell, provider
from aar.sandbox.processes import descendants
from tests.sandbox.conftest import MIB, SMALL

LIMITS = replace(SMALL, disk_bytes=8 * MIB, files=500, processes=40)
BACKGROUND = "(setsid sh -c 'while :; do sleep 0.1; echo x >>/work/beat; done' &) &"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def shell(workspace: Path) -> Iterator[Shell]:
    with limited(workspace) as shell:
        yield shell


def limited(workspace: Path) -> Shell:
    return Shell(provider("bubblewrap"), workspace, LIMITS)


def test_a_command_finds_nothing_on_its_standard_input(shell: Shell) -> None:
    assert shell.run("cat; read line || echo nothing", 10).output == "nothing\n"


def test_it_works_in_a_process_with_more_open_files_than_a_command_may_have(workspace: Path) -> None:
    with ExitStack() as held, limited(workspace) as shell:
        for _ in range(LIMITS.open_files + 50):
            held.enter_context(open(os.devnull))
        assert [shell.run("echo hi", 10).output for _ in range(2)] == ["hi\n", "hi\n"]


def test_the_workspace_is_the_hosts_folder_and_remains(shell: Shell, workspace: Path) -> None:
    (workspace / "given").write_text("from the host")
    assert shell.run("cat given; echo made >made", 10).output == "from the host"
    shell.close()
    assert (workspace / "made").read_text() == "made\n"


def test_read_only_places_can_be_read_only(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("data")
    (data / "text").write_text("shared")
    data.chmod(0o755)
    (data / "text").chmod(0o644)
    with Shell(provider("bubblewrap"), workspace, LIMITS, read_only={"/data": data}) as shell:
        reply = shell.run("cat /data/text; echo x >/data/text; rm -f /data/text; touch /data/new", 10)
    assert reply.output.startswith("shared") and reply.output.count("Read-only file system") == 3


def test_the_machines_tools_are_shown_but_not_what_was_installed_by_hand(shell: Shell) -> None:
    reply = shell.run("python3 -c 'import numpy, aar.guest.lab'; git --version; awk 'BEGIN {print 1}'; whoami", 10)
    assert reply.output.splitlines()[0].startswith("git version")
    assert reply.output.splitlines()[1:] == ["1", "researcher"]
    listed = shell.run("ls /usr/local /home /root /var; ls /etc", 10).output
    assert listed.splitlines()[-4:] == ["alternatives", "group", "ld.so.cache", "passwd"]


def test_output_of_background_processes_comes_with_the_next_command(shell: Shell) -> None:
    shell.run("(sleep 0.2; echo later) &", 10)
    assert shell.run("sleep 0.5; echo now", 10).output == "later\nnow\n"


@pytest.mark.parametrize(
    ("command", "killed"),
    [
        ("for i in 1 2 3 4; do python3 -c 'import time; x = bytearray(90 << 20); time.sleep(9)' & done; wait",
         "memory limit 256 MiB"),
        ("for i in 1 2 3 4 5; do head -c 3M /dev/zero >$i; done; sleep 9", "disk limit 8 MiB"),
        ("for i in {1..600}; do >$i; done; sleep 9", "limit of 500 files"),
        ("cd /tmp; for i in {1..600}; do >$i; done; sleep 9", "limit of 500 files"),
        ("for i in {1..70}; do mkdir d; cd d; done; sleep 9", "limit of 64 nested folders"),
        ("mkdir d; for i in {1..600}; do >d/$i; done; chmod 0 d; sleep 9", "limit of "),
    ],
)  # fmt: skip
def test_the_reply_names_the_limit_that_was_exceeded(workspace: Path, command: str, killed: str) -> None:
    with limited(workspace) as shell:
        reply = shell.run(command, 20)
    assert reply.killed is not None and reply.killed.startswith(killed)
    assert reply.exit_code is None and reply.seconds < 15


def test_limits_hold_for_background_processes_too(workspace: Path, others: set[int]) -> None:
    with limited(workspace) as shell:
        shell.run("python3 -c 'import time; x = [bytearray(1 << 20) for _ in range(400)]; time.sleep(60)' &", 10)
        deadline = time.monotonic() + 10
        while set(descendants(os.getpid())) - others and time.monotonic() < deadline:
            time.sleep(0.05)
        assert set(descendants(os.getpid())) <= others


def test_a_workspace_has_one_shell_at_a_time(shell: Shell, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.run("true", 10)
    monkeypatch.setattr("aar.sandbox.linux.identity.WAIT_SECONDS", 0.2)
    with limited(workspace) as second, pytest.raises(SandboxError, match="another sandbox uses this workspace"):
        second.run("true", 10)
    assert shell.run("echo still", 10).output == "still\n"


def test_a_missing_workspace_is_a_sandbox_error(tmp_path: Path) -> None:
    with limited(tmp_path / "nowhere") as shell, pytest.raises(SandboxError, match="cannot be a workspace"):
        shell.run("true", 10)


@pytest.mark.parametrize(("command", "reason"), [("a\0b", "NUL"), ("\ud800", "surrogate"), ("x" * 2**21, "too long")])
def test_a_command_that_cannot_be_sent_is_refused(shell: Shell, command: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        shell.run(command, 10)


def test_a_closed_shell_leaves_no_process_and_no_descriptor(workspace: Path, others: set[int]) -> None:
    with limited(workspace) as first:
        first.run("true", 10)
    before = len(os.listdir("/proc/self/fd"))
    with limited(workspace) as shell:
        shell.run(BACKGROUND, 10)
        shell.run("sleep 60", 0.2)
        shell.run("true", 10)
    assert len(os.listdir("/proc/self/fd")) == before
    assert set(descendants(os.getpid())) <= others


def test_commands_are_answered_quickly(shell: Shell) -> None:
    shell.run("true", 10)
    assert min(shell.run("true", 10).seconds for _ in range(5)) < 0.1  # 0.0005 on an idle machine


def test_a_workspace_that_is_too_full_can_be_tidied_but_may_not_grow(workspace: Path) -> None:
    for number in range(12):
        (workspace / str(number)).write_bytes(b"x" * MIB)
    with limited(workspace) as shell:
        assert shell.run("sleep 0.6; ls | wc -l", 10).output == "12\n"
        assert (shell.run("head -c 2M /dev/zero >more; sleep 9", 10).killed or "").startswith("disk limit")
        assert shell.run("rm *; ls", 10).exit_code == 0


def test_removed_files_that_are_open_count(workspace: Path) -> None:
    hold = "import os, time; f = [open(str(i), 'w+b') for i in range(4)]"
    hold += "; [(os.unlink(o.name), o.write(bytes(3 << 20)), o.flush()) for o in f]; time.sleep(9)"
    with limited(workspace) as shell:
        assert shell.run(f'python3 -c "{hold}"', 20).killed == "disk limit 8 MiB"


def test_each_command_is_one_line_in_the_log_without_its_text(
    workspace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level("INFO", logger="aar.sandbox"),
        Shell(provider("bubblewrap"), workspace, LIMITS, owner="ada") as shell,
    ):
        shell.run("echo a private text; exit 3", 10)
        shell.run("sleep 60", 0.2)
    lines = [record.getMessage() for record in caplog.records]
    commands = [line for line in lines if line.startswith("shell of ada: a command ended with ")]
    assert "exit code 3 after" in commands[0] and "killed: wall time limit 0.2 s after" in commands[1]
    assert sum(line.endswith(": opened as shell for ada") for line in lines) == 2  # the second one after `exit`
    assert "a private text" not in caplog.text
