"""One sandbox of any provider: its identity, its private folder, its start, its output and limits, its end.

Covers: its own user id if aar runs as root; small files and the broker's socket that only it can find; a control group
where aar may make one; nothing remains once it is closed.
Does not cover: isolation itself, which is the provider's.
"""

import logging
import os
import selectors
import shutil
import socket
import subprocess
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from aar import metrics
from aar.errors import SandboxError
from aar.sandbox.api import BROKER_SOCKET, Limits, Spec, readable_bytes
from aar.sandbox.linux.cgroup import make_cgroup
from aar.sandbox.linux.identity import (
    FOLDERS,
    held_workspace,
    leased_uid,
    open_to,
    remove_stale_folders,
    sandbox_folder_prefix,
)
from aar.sandbox.linux.training import driver_libraries, packages
from aar.sandbox.memory import Part, Reservation
from aar.sandbox.monitor import TICK_SECONDS, ResourceMonitor
from aar.sandbox.processes import SIGNAL_EXIT, SandboxProcess, readable, start_process

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """The end of a sandboxed command. `killed` is what ended it from outside, for example "memory limit 4 GiB"."""

    exit_code: int
    stdout: str
    stderr: str
    seconds: float
    killed: str | None


@dataclass(frozen=True)
class Launch:
    """A host command that starts a sandbox's command.

    It inherits `descriptors`, which are closed once it has started. It writes reports about itself to `reports`.
    """

    command: list[str]
    environment: Mapping[str, str]
    cwd: str = "/"
    descriptors: tuple[int, ...] = ()
    reports: IO[bytes] | None = None


class Sandbox(ABC):
    """A sandbox for one command: a context manager, entered once, for one `run` or one `start`.

    Attributes:
        uid: the sandbox's user id outside, as the kernel sees it. Never 0 if the provider isolates.
    """

    uid: int

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.shown: dict[str, Path] = {**spec.read_only}  # host paths by the sandbox's
        if spec.view == "training":
            self.shown |= packages()
        if spec.gpus:
            self.shown |= driver_libraries()
        self._closing = ExitStack()
        self._stopped = threading.Event()

    @abstractmethod
    def _launch(self) -> Launch:
        """Return the command to start. Raises SandboxError if a program or library is missing."""

    def __enter__(self) -> Self:
        """Prepare the sandbox. Raises SandboxError if it cannot be prepared, or its workspace is in use."""
        with ExitStack() as stack:
            self.uid = stack.enter_context(self._identity())
            remove_stale_folders()
            self.folder = Path(tempfile.mkdtemp(prefix=sandbox_folder_prefix(), dir=FOLDERS))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            open_to(self.uid, self.folder, 0o710)
            for name, content in self.spec.files.items():
                self._show(f"/work/{name}", content)
            if self.spec.workspace:
                stack.enter_context(held_workspace(self.spec.workspace, self.uid))
            self.cgroup = make_cgroup(self.spec.limits)
            if self.cgroup:
                stack.callback(self.cgroup.remove)
            self._count(+1)
            stack.callback(self._count, -1)
            self._closing = stack.pop_all()
        log.info("sandbox %s: opened as %s for %s", self.name, self.spec.view, self.spec.owner or "the pool")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    @property
    def name(self) -> str:
        """The sandbox's name in logs."""
        return self.folder.name

    def listen(self) -> socket.socket:
        """Return a listening Unix socket that only the sandbox can find, at BROKER_SOCKET. The caller closes it."""
        path = self.folder / "broker.sock"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        open_to(self.uid, path, 0o660)
        listener.listen(1)
        self.shown[BROKER_SOCKET] = path
        return listener

    def start(self, *, stdin: int = subprocess.DEVNULL) -> SandboxProcess:
        """Start the command; it ends with the sandbox, or with this process.

        The caller reserves its memory, at the latest before any code of an agent runs in it.

        Args:
            stdin: as for subprocess.Popen; stdout and stderr are pipes.

        Raises:
            SandboxError: a required program is missing.
        """
        launch = self._launch()
        try:
            process = start_process(
                launch.command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=launch.cwd,
                env=launch.environment, pass_fds=launch.descriptors, start_new_session=True,
            )  # fmt: skip
        finally:
            for descriptor in launch.descriptors:
                os.close(descriptor)
        running = SandboxProcess(process, launch.reports)
        self._closing.callback(running.close)
        return running

    def run(self) -> Outcome:
        """Run the command once the machine has memory for it, and block until it ends or a limit ends it.

        Raises:
            CrowdedError: no memory became free in time.
            SandboxError: the sandbox could not be set up.
        """
        part: Part = "programs" if self.spec.view == "training" else "others"
        with Reservation(self.spec.owner, part) as memory:
            memory.take(self.spec.limits.memory_bytes, stopped=self._stopped)
            return self.watch(self.start())

    def watch(self, running: SandboxProcess) -> Outcome:
        """Wait for a started command, as `run` does. Its time starts here."""
        outcome = Supervisor(running, self.monitor(running), self.spec.limits, self._stopped).outcome()
        fate = f"killed: {outcome.killed}" if outcome.killed else f"exit code {outcome.exit_code}"
        log.info("sandbox %s: %s after %.1f s", self.name, fate, outcome.seconds)
        return outcome

    def monitor(self, running: SandboxProcess) -> ResourceMonitor:
        """Return a monitor that compares a started command's use with the sandbox's limits."""
        return ResourceMonitor(running, self.spec.limits, self.spec.workspace, self.cgroup)

    def stop(self) -> None:
        """End the sandbox, from any thread; `run` then returns an outcome that was killed by "stopped"."""
        self._stopped.set()

    def _count(self, by: int) -> None:
        metrics.SANDBOXES.change(by, kind=self.spec.view)

    def _identity(self) -> AbstractContextManager[int]:
        return leased_uid()

    def _show(self, place: str, content: bytes) -> None:
        """Show a small file at a path of the sandbox."""
        path = self.folder / Path(place).name
        path.write_bytes(content)
        open_to(self.uid, path, 0o640)
        self.shown[place] = path


class Supervisor:
    """Collects a running sandbox's output and enforces its limits until its whole tree has ended."""

    def __init__(
        self, running: SandboxProcess, monitor: ResourceMonitor, limits: Limits, stopped: threading.Event
    ) -> None:
        """`stopped`: set by any thread to end the sandbox. Its time starts here."""
        assert running.process.stdout and running.process.stderr
        self._running, self._monitor, self._limits, self._stopped = running, monitor, limits, stopped
        self._killed: str | None = None
        self._out, self._err = running.process.stdout.fileno(), running.process.stderr.fileno()
        self._read = {self._out: bytearray(), self._err: bytearray()}
        monitor.begin(limits.wall_seconds)

    def outcome(self) -> Outcome:
        """Wait for the command's end.

        Raises:
            SandboxError: it never started, because the sandbox could not be built.
        """
        try:
            self._follow()
            self._killed = self._killed or self._monitor.memory_excess()
        finally:
            self._running.end()
        self._collect_rest()
        return self._conclude()

    def _follow(self) -> None:
        """Collect output and enforce limits until the outermost process ends."""
        ended = os.pidfd_open(self._running.pid)
        with closing(os.fdopen(ended, "rb")), selectors.DefaultSelector() as selector:
            for source in (ended, *self._read):
                selector.register(source, selectors.EVENT_READ)
            while True:
                ready = [key.fd for key, _ in selector.select(TICK_SECONDS)]
                for source in ready:
                    if source in self._read and not self._collect(source):
                        selector.unregister(source)
                if ended in ready:
                    return
                reason = "stopped" if self._stopped.is_set() else self._monitor.excess()
                if reason:
                    self._kill(reason)

    def _collect(self, source: int) -> bool:
        """Read what `source` has; return False at its end."""
        chunk = os.read(source, 2**16)
        self._read[source] += chunk
        if len(self._read[source]) > self._limits.output_bytes:
            self._kill(f"output limit {readable_bytes(self._limits.output_bytes)}")
        return bool(chunk)

    def _kill(self, reason: str) -> None:
        self._killed = self._killed or reason
        self._running.kill()

    def _collect_rest(self) -> None:
        """Read what the dead tree left in its pipes. A process that escaped from weak isolation may keep one open."""
        for source, read in self._read.items():
            while len(read) <= self._limits.output_bytes and readable(source, 0):
                chunk = os.read(source, 2**16)
                if not chunk:
                    break
                read += chunk

    def _conclude(self) -> Outcome:
        stdout, stderr = (self._text(source) for source in (self._out, self._err))
        code, killed = self._running.exit_code(), self._killed
        if code is None:
            code = self._running.process.returncode
            if code < 0:
                killed = killed or f"from outside, by signal {-code}"
                code = SIGNAL_EXIT - code
            elif killed is None:
                raise SandboxError(f"the sandbox could not be set up: {stderr.strip()}. Run `aar doctor` to see why.")
        return Outcome(code, stdout, stderr, self._monitor.seconds(), killed)

    def _text(self, source: int) -> str:
        return bytes(self._read[source][: self._limits.output_bytes]).decode(errors="replace")
