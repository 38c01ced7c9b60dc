"""What an isolated command can do, how it ends, and what remains of it."""

import dataclasses
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aar.errors import SandboxError
from aar.sandbox import Spec, provider
from aar.sandbox.processes import descendants
from tests.sandbox.conftest import SMALL, RunPython, python_sandbox


def test_numpy_is_ready_quickly(run_python: RunPython) -> None:
    run_python("import numpy")
    fastest = min(run_python("import numpy").seconds for _ in range(3))
    assert fastest < 1  # 0.08 on an idle machine


def test_work_tmp_and_shared_memory_are_writable_and_bounded(run_python: RunPython) -> None:
    program = """
import os
for folder in ("/work", "/tmp"):
    try:
        for number in range(100):
            open(f"{folder}/{number}", "wb").write(bytes(2**20))
    except OSError as error:
        print(folder, number, error.strerror)
open("/dev/shm/x", "wb").write(b"x")
"""
    outcome = run_python(program)
    assert outcome.stdout == "/work 4 No space left on device\n/tmp 4 No space left on device\n"
    assert outcome.exit_code == 0


def test_nothing_of_the_host_is_visible(run_python: RunPython, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    program = f"""
import os
print(sorted(os.listdir("/")))
for path in ({str(secret)!r}, "/etc/passwd", "/usr/bin", "/home", "/root", "/var", "/proc/1/root/etc"):
    try:
        print(path, os.listdir(path) if os.path.isdir(path) else open(path).read())
    except OSError:
        pass
"""
    assert run_python(program).stdout == "['dev', 'lib64', 'proc', 'runtime', 'tmp', 'work']\n"


def test_the_environment_is_built_from_nothing(run_python: RunPython, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "do-not-tell")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    program = """
import os
print(dict(os.environ))
for pid in filter(str.isdigit, os.listdir("/proc")):
    if os.path.exists(f"/proc/{pid}/environ"):
        print(open(f"/proc/{pid}/environ").read())
"""
    outcome = run_python(program)
    assert outcome.exit_code == 0
    assert "do-not-tell" not in outcome.stdout
    assert "RAY" not in outcome.stdout


def test_there_is_no_network(run_python: RunPython) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        program = f"""
import socket
for address in (("127.0.0.1", {server.getsockname()[1]}), ("192.0.2.1", 80), ("169.254.169.254", 80)):
    try:
        socket.create_connection(address, timeout=1)
        print("connected to", address)
    except OSError:
        pass
for family in range(50):
    try:
        socket.socket(family, socket.SOCK_STREAM)
        print(family)
    except OSError:
        pass
"""
        assert run_python(program).stdout.split() == ["1", "2", "10"]


@pytest.mark.parametrize(
    "call",
    ["unshare(1 << 28)", "ptrace(0, 0, 0, 0)", "memfd_create(b'x', 0)", "shmget(0, 4096, 950)", "syscall(425, 1, 0)"],
)
def test_dangerous_system_calls_are_refused(run_python: RunPython, call: str) -> None:
    program = f"import ctypes; c = ctypes.CDLL(None, use_errno=True); print(c.{call}, ctypes.get_errno())"
    assert run_python(program).stdout == "-1 1\n"


def test_the_sandbox_cannot_raise_its_own_limits(run_python: RunPython) -> None:
    program = "import resource as r; r.setrlimit(r.RLIMIT_NPROC, (1000, 1000))"
    assert "not allowed to raise maximum limit" in run_python(program).stderr


def test_the_host_knows_the_sandbox_by_its_uid() -> None:
    program = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/broker.sock'); s.recv(1)"
    with python_sandbox(program) as sandbox, sandbox.listen() as listener:
        thread = threading.Thread(target=sandbox.run)
        thread.start()
        listener.settimeout(10)
        connection, _ = listener.accept()
        with connection:
            pid = int.from_bytes(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], "little")
            status = Path(f"/proc/{pid}/status").read_text()
        thread.join()
    assert f"Uid:\t{sandbox.uid}\t{sandbox.uid}\t{sandbox.uid}\t{sandbox.uid}\n" in status


def test_a_fork_bomb_stays_small_and_dies(run_python: RunPython) -> None:
    program = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
    before = len(os.listdir("/proc"))
    most = 0
    done = threading.Event()

    def count() -> None:
        nonlocal most
        while not done.wait(0.02):
            most = max(most, len(os.listdir("/proc")) - before)

    watcher = threading.Thread(target=count)
    watcher.start()
    outcome = run_python(program, dataclasses.replace(SMALL, wall_seconds=1))
    done.set()
    watcher.join()
    assert outcome.killed
    assert most <= SMALL.processes + 50  # others may start processes of their own meanwhile


def test_a_flood_of_output_ends_the_program(run_python: RunPython) -> None:
    outcome = run_python("while True: print('x' * 10_000)", dataclasses.replace(SMALL, output_bytes=2**20))
    assert outcome.killed == "output limit 1 MiB"
    assert len(outcome.stdout) == 2**20


def test_nothing_outlives_the_program(run_python: RunPython) -> None:
    program = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True: time.sleep(1)
    os._exit(0)
"""
    before = set(descendants(os.getpid()))
    started = time.monotonic()
    assert run_python(program).exit_code == 0
    assert time.monotonic() - started < 5
    assert set(descendants(os.getpid())) <= before


def test_a_bubblewrap_killed_from_outside_is_an_outcome() -> None:
    before = set(descendants(os.getpid()))

    def kill() -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            children = [pid for pid in descendants(os.getpid()) if pid not in before]
            if len(children) >= 3:
                os.kill(children[0], signal.SIGKILL)
                return
            time.sleep(0.02)

    threading.Thread(target=kill).start()
    with python_sandbox("import time; time.sleep(60)") as sandbox:
        outcome = sandbox.run()
    assert outcome.killed == "from outside, by signal 9"


def test_a_sandbox_that_cannot_be_built_is_an_error_and_not_an_outcome() -> None:
    spec = Spec(("true",), SMALL, read_only={"/data": Path("/nowhere")})
    with provider("bubblewrap").open(spec) as sandbox, pytest.raises(SandboxError, match="could not be set up"):
        sandbox.run()


def test_it_works_as_an_ordinary_user(as_ordinary_user: Callable[[str], str]) -> None:
    program = """
import json
from aar.sandbox import PYTHON, Limits, Spec, provider
attempt = "import os, numpy; print(os.getuid(), sorted(os.listdir('/')))"
with provider("bubblewrap").open(Spec((*PYTHON, "-c", attempt), Limits(processes=8))) as sandbox:
    outcome = sandbox.run()
    print(json.dumps([sandbox.uid, outcome.exit_code, outcome.stdout, outcome.stderr]))
"""
    uid, code, stdout, stderr = json.loads(as_ordinary_user(program))
    assert (uid, code, stderr) == (12345, 0, "")
    assert stdout == "12345 ['dev', 'lib64', 'proc', 'runtime', 'tmp', 'work']\n"


def test_sandboxes_isolate_for_an_ordinary_user_too(as_ordinary_user: Callable[[str], str]) -> None:
    program = """
from aar.sandbox import Limits, probe
print([check for check in probe(Limits(memory_bytes=2**29)) if not check.passed])
"""
    assert as_ordinary_user(program) == "[]\n"
