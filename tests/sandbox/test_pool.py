"""Warm sandboxes: each serves once, is replaced, and ends with its pool."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aar.errors import SandboxError
from aar.sandbox import BROKER_SOCKET, PYTHON, Sandbox, Spec, provider
from aar.sandbox.pool import Pool, WarmSandbox
from aar.sandbox.processes import descendants
from tests.sandbox.conftest import SMALL

ECHO = """
import os, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
marks = len(os.listdir("/tmp"))
open("/tmp/mark", "w")
while word := connection.recv(100):
    connection.sendall(word + b" " + str(marks).encode())
print("bye")
"""
CONNECT = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(9))"


def waiting(program: str = ECHO) -> Spec:
    return Spec((*PYTHON, "-c", program, BROKER_SOCKET), SMALL)


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(provider("bubblewrap"), waiting(), size=2)
    yield pool
    pool.close()


def exchange(sandbox: WarmSandbox, word: bytes) -> bytes:
    sandbox.connection.sendall(word)
    return sandbox.connection.recv(100)


def test_a_warm_sandbox_answers_at_once_and_serves_once(pool: Pool) -> None:
    assert pool.wait_until_full(10)
    for _ in range(4):
        with pool.take() as sandbox:
            assert exchange(sandbox, b"hello") == b"hello 0"  # its /tmp is fresh
            sandbox.connection.shutdown(socket.SHUT_RDWR)
            assert sandbox.outcome().stdout == "bye\n"


def test_its_time_counts_from_when_it_is_used(pool: Pool) -> None:
    assert pool.wait_until_full(10)
    time.sleep(0.5)
    with pool.take() as sandbox:
        sandbox.connection.shutdown(socket.SHUT_RDWR)
        assert sandbox.outcome().seconds < 0.4


def test_a_sandbox_that_died_while_it_waited_is_not_handed_out(others: set[int], pool: Pool) -> None:
    assert pool.wait_until_full(10)
    for pid in set(descendants(os.getpid())) - others:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    with pool.take() as sandbox:
        assert exchange(sandbox, b"x") == b"x 0"


def test_closing_a_pool_leaves_nothing(others: set[int], pool: Pool) -> None:
    assert pool.wait_until_full(10)
    pool.close()
    assert set(descendants(os.getpid())) <= others


def test_an_empty_pool_still_serves() -> None:
    pool = Pool(provider("bubblewrap"), waiting(), size=0)
    with pool.take() as sandbox:
        assert exchange(sandbox, b"x") == b"x 0"
    pool.close()


def test_a_program_that_does_not_connect_is_a_sandbox_error() -> None:
    with pytest.raises(SandboxError, match=r"did not start: [\s\S]*ZeroDivisionError"):
        WarmSandbox(provider("bubblewrap"), waiting("1 / 0"))


def test_a_stranger_on_the_socket_is_turned_away_even_with_the_right_user_id(monkeypatch: pytest.MonkeyPatch) -> None:
    strangers = []
    listen = Sandbox.listen

    def listen_beside_a_stranger(sandbox: Sandbox) -> socket.socket:
        listener = listen(sandbox)
        command = ["/usr/bin/python3", "-c", CONNECT, str(Path(sandbox.folder, "broker.sock"))]
        if os.geteuid() == 0:
            uid = str(sandbox.uid)
            command = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", *command]
        strangers.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        return listener

    monkeypatch.setattr(Sandbox, "listen", listen_beside_a_stranger)
    with WarmSandbox(provider("bubblewrap"), waiting("import time; time.sleep(1)\n" + ECHO)) as sandbox:
        assert exchange(sandbox, b"x") == b"x 0"
    (stranger,) = strangers
    assert stranger.communicate(timeout=10)[0] == b"b''\n"


class Broken:
    """A provider whose sandboxes cannot be built."""

    name = "broken"
    is_isolating = True

    def open(self, spec: Spec) -> Sandbox:
        raise SandboxError("bwrap was not found. Install it")


def test_a_sandbox_that_was_taken_is_replaced(pool: Pool) -> None:
    for _ in range(3):
        assert pool.wait_until_full(10)
        pool.take().close()
    assert pool.wait_until_full(10)


def test_a_pool_whose_sandboxes_cannot_be_built_raises_the_error_to_whoever_takes_one() -> None:
    pool = Pool(Broken(), waiting(), size=2)
    assert not pool.wait_until_full(0.2)
    for _ in range(2):
        with pytest.raises(SandboxError, match="Install it"):
            pool.take()
    pool.close()


def test_a_pool_can_be_closed_twice(pool: Pool) -> None:
    pool.close()
    pool.close()
    assert not pool.wait_until_full(0)


def test_a_sandbox_in_use_can_be_stopped_from_another_thread(pool: Pool) -> None:
    with pool.take() as sandbox:
        threading.Timer(0.2, sandbox.stop).start()
        assert sandbox.outcome().killed == "stopped"
