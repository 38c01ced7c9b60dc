"""Rules for one command: how it runs, what it sees, how it ends, and what remains of it."""

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from aar.errors import SandboxError
from aar.sandbox.api import BROKER_SOCKET, PYTHON, Spec
from aar.sandbox.conformance.trial import ConformanceTrial, Nonconforming, expect, expect_killed
from aar.sandbox.pool import WarmSandbox
from aar.sandbox.processes import is_alive

DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("alive", flush=True)
        time.sleep(60)
    os._exit(0)
os.wait()
"""
HELLO = "import socket, sys; s = socket.socket(1); s.connect(sys.argv[1]); s.sendall(b'hello'); s.recv(1)"
ORPHAN = """
import sys
from aar.sandbox import PYTHON, Spec, provider
program = "import time; print('up', flush=True); time.sleep(60)"
with provider(sys.argv[1]).open(Spec((*PYTHON, "-c", program))) as sandbox:
    running = sandbox.start()
    running.process.stdout.readline()
    print(sandbox.folder, running.pid, running.init, flush=True)
    sandbox.watch(running)
"""


def reports_the_exit_code(trial: ConformanceTrial) -> None:
    """A command's own exit code is returned."""
    expect(trial.run("raise SystemExit(3)").exit_code, 3)


def reports_a_signal_as_shells_do(trial: ConformanceTrial) -> None:
    """A command that died of signal n has exit code 128 + n."""
    expect(trial.run("import os; os.kill(os.getpid(), 11)").exit_code, 139)


def keeps_output_and_errors_apart(trial: ConformanceTrial) -> None:
    """stdout and stderr are returned whole, also bytes that are not text."""
    program = r"import sys; sys.stdout.buffer.write(b'a\xff'); print('b', file=sys.stderr)"
    outcome = trial.run(program)
    expect((outcome.stdout, outcome.stderr), ("a\ufffd", "b\n"))


def gives_nothing_to_read(trial: ConformanceTrial) -> None:
    """Standard input is empty."""
    expect(trial.run("import sys; print(repr(sys.stdin.read()))").stdout, "''\n")


def shows_files_read_only(trial: ConformanceTrial) -> None:
    """Small files are in /work, and cannot be changed."""
    program = "import sys; print(open(sys.argv[1]).read()); open(sys.argv[1], 'a')"
    with trial.provider.open(Spec((*PYTHON, "-c", program, "/work/a"), files={"a": b"given"})) as sandbox:
        outcome = sandbox.run()
    expect(outcome.stdout, "given\n")
    if trial.provider.is_isolating:
        expect((outcome.exit_code, "Read-only" in outcome.stderr or "denied" in outcome.stderr), (1, True))


def shows_folders_of_the_host(trial: ConformanceTrial) -> None:
    """A folder appears at the requested path, with its content."""
    data = trial.workspace("data")
    data.chmod(0o755)
    (data / "text").write_text("shared")
    (data / "text").chmod(0o644)
    program = "import sys; print(open(sys.argv[1] + '/text').read())"
    spec = Spec((*PYTHON, "-c", program, "/data/here"), read_only={"/data/here": data})
    with trial.provider.open(spec) as sandbox:
        expect(sandbox.run().stdout, "shared\n")


def keeps_a_workspace(trial: ConformanceTrial) -> None:
    """Files that a command writes into its workspace remain, for the host and for the next command."""
    workspace = trial.workspace()
    trial.run("open('made', 'w').write('x')", workspace=workspace)
    expect((workspace / "made").read_text(), "x")
    expect(trial.run("print(open('made').read())", workspace=workspace).stdout, "x\n")


def gives_a_workspace_to_one_at_a_time(trial: ConformanceTrial) -> None:
    """A second sandbox in the same workspace is refused."""
    workspace = trial.workspace()
    with trial.open("", workspace=workspace), suppress(SandboxError), trial.open("", workspace=workspace):
        raise Nonconforming("two sandboxes share a workspace")


def refuses_a_missing_workspace(trial: ConformanceTrial) -> None:
    """A missing workspace is an error of the sandbox, not an outcome."""
    with suppress(SandboxError):
        trial.run("", workspace=trial.folder / "nowhere")
        raise Nonconforming("a missing workspace was accepted")


def builds_the_environment_from_nothing(trial: ConformanceTrial) -> None:
    """The variables are the requested ones and a fixed few."""
    os.environ["AAR_CONFORMANCE_CANARY"] = "sings"
    program = "import os; print(os.environ.get('AAR_CONFORMANCE_CANARY'), os.environ['GIVEN'])"
    expect(trial.run(program, environment={"GIVEN": "x"}).stdout, "None x\n")


def ends_when_it_is_stopped(trial: ConformanceTrial) -> None:
    """A sandbox can be stopped from another thread."""
    with trial.open("import time; time.sleep(60)") as sandbox:
        threading.Timer(0.2, sandbox.stop).start()
        expect_killed(sandbox.run().killed, "stopped")


def ends_with_its_command(trial: ConformanceTrial) -> None:
    """A command's background processes do not outlive it."""
    began = time.monotonic()
    with trial.open(DAEMON) as sandbox:
        running = sandbox.start()
        sandbox.watch(running)
    expect(time.monotonic() - began < 10, True)


def ends_with_aar(trial: ConformanceTrial) -> None:
    """A sandbox ends when the process that started it is killed."""
    command = [sys.executable, "-c", ORPHAN, trial.provider.name]
    path = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}) as aar:
        assert aar.stdout
        folder, *pids = aar.stdout.readline().split()
        aar.kill()
    _wait_for_the_end_of(pids)
    for file in Path(folder).iterdir():
        file.unlink()
    Path(folder).rmdir()


def leaves_nothing_behind(trial: ConformanceTrial) -> None:
    """No folder, process or descriptor of a closed sandbox remains."""
    trial.run("")
    before = len(os.listdir("/proc/self/fd"))
    with trial.open("open('x', 'w')") as sandbox:
        sandbox.run()
    expect((sandbox.folder.exists(), len(os.listdir("/proc/self/fd"))), (False, before))


def serves_a_socket(trial: ConformanceTrial) -> None:
    """A program finds the broker's socket, and its messages arrive."""
    with WarmSandbox(trial.provider, Spec((*PYTHON, "-c", HELLO, BROKER_SOCKET))) as sandbox:
        expect(sandbox.connection.recv(5, socket.MSG_WAITALL), b"hello")


def runs_several_at_once(trial: ConformanceTrial) -> None:
    """Sandboxes do not disturb each other."""
    outputs: list[str] = []
    threads = [threading.Thread(target=lambda n=n: outputs.append(trial.run(f"print({n})").stdout)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(sorted(outputs), ["0\n", "1\n", "2\n", "3\n"])


def _wait_for_the_end_of(pids: list[str]) -> None:
    deadline = time.monotonic() + 5
    while any(is_alive(int(pid)) for pid in pids):
        if time.monotonic() > deadline:
            raise Nonconforming("the sandbox outlived the process that started it")
        time.sleep(0.02)


RULES = (
    reports_the_exit_code, reports_a_signal_as_shells_do, keeps_output_and_errors_apart, gives_nothing_to_read,
    shows_files_read_only, shows_folders_of_the_host, keeps_a_workspace, gives_a_workspace_to_one_at_a_time,
    refuses_a_missing_workspace, builds_the_environment_from_nothing, ends_when_it_is_stopped, ends_with_its_command,
    ends_with_aar, leaves_nothing_behind, serves_a_socket, runs_several_at_once,
)  # fmt: skip
