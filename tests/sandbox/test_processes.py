"""A process tree: what it uses is read from /proc, and all of it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from aar.sandbox.processes import SandboxProcess, descendants, is_alive, process_usage, readable, start_process

MIB = 2**20
FAMILY = "import subprocess, sys, time; c = subprocess.Popen([sys.executable, '-c', sys.argv[1]]); time.sleep(60)"
SLEEP = "import time; time.sleep(60)"
BUSY = """
import time
x = bytearray(b"x" * 50 * 2**20)
while time.process_time() < 0.5: pass
print("used", flush=True)
"""


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def started(*command: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of the host whose tree is killed at the end of the block."""
    process = start_process([*command], stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        for pid in descendants(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.communicate()


def test_a_tree_is_a_process_and_everything_below_it() -> None:
    with started(sys.executable, "-c", FAMILY, SLEEP) as parent:
        wait_until(lambda: len(descendants(parent.pid)) == 2)
        child = descendants(parent.pid)[1]
        assert descendants(child) == [child]
        assert {usage.pid for usage in process_usage(parent.pid)} == {parent.pid, child}


def test_memory_and_cpu_time_are_those_of_the_process() -> None:
    with started(sys.executable, "-c", BUSY + SLEEP) as process:
        assert process.stdout and process.stdout.readline() == b"used\n"
        [usage] = process_usage(process.pid)
        assert 50 * MIB < usage.proportional_bytes() <= usage.resident_bytes < 200 * MIB
        assert 0.4 < usage.cpu_seconds < 5


def test_a_process_that_has_ended_uses_nothing_and_is_not_alive() -> None:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(process.pid)  # not waited for yet: a zombie
    assert not is_alive(process.pid)
    assert process_usage(process.pid) == []
    assert is_alive(os.getpid())


def test_a_descriptor_becomes_readable_within_a_time_or_does_not() -> None:
    end, other = os.pipe()
    began = time.monotonic()
    assert not readable(end, 0.1)
    assert time.monotonic() - began >= 0.1
    os.write(other, b"x")
    assert readable(end, 10)
    for descriptor in (end, other):
        os.close(descriptor)


@pytest.mark.parametrize(
    ("program", "code"), [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 11)", 139)]
)
def test_without_a_namespace_the_exit_code_is_the_processs_own(program: str, code: int) -> None:
    process = SandboxProcess(start_process([sys.executable, "-c", program]), None)
    process.process.wait()
    process.end()
    assert process.exit_code() == code


def test_without_a_namespace_every_process_of_the_tree_is_killed() -> None:
    process = SandboxProcess(start_process([sys.executable, "-c", FAMILY, SLEEP]), None)
    wait_until(lambda: len(descendants(process.pid)) == 2)
    tree = descendants(process.pid)
    assert all(map(process.has, tree)) and not process.has(os.getpid())
    process.end()
    wait_until(lambda: not any(map(is_alive, tree)))
