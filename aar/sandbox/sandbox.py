"""One sandbox, whatever its provider: its identity, its private folder, its start, its end.

Covers: a user id of its own where the provider is root; small files and the broker's socket that it alone finds; a
control group where there can be one; that nothing is left when it was closed.
Does not cover: the wall itself, which is the provider's.
"""

import logging
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from aar import metrics
from aar.sandbox.api import BROKER_SOCKET, Spec
from aar.sandbox.linux.cgroup import make_cgroup
from aar.sandbox.linux.gpus import driver_libraries
from aar.sandbox.linux.identity import (
    FOLDERS,
    held_workspace,
    leased_uid,
    open_to,
    remove_stale_folders,
    sandbox_folder_prefix,
)
from aar.sandbox.linux.packages import packages
from aar.sandbox.memory import Part, Reservation
from aar.sandbox.monitor import ResourceMonitor
from aar.sandbox.processes import SandboxProcess, start_process
from aar.sandbox.supervisor import Outcome, Supervisor

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Launch:
    """A host command that starts a sandbox's command.

    `descriptors` are inherited by it and closed once it was started; what it says of itself comes on `reports`.
    """

    command: list[str]
    environment: Mapping[str, str]
    cwd: str = "/"
    descriptors: tuple[int, ...] = ()
    reports: IO[bytes] | None = None


class Sandbox(ABC):
    """A place for one command: a context manager, entered once, for one `run` or one `start`.

    Attributes:
        uid: the user id that the kernel knows the sandbox by. Never 0 behind a wall.
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
        """What to start. Raises SandboxError when something that it needs is missing."""

    def __enter__(self) -> Self:
        """Raises SandboxError when the sandbox cannot be prepared, or its workspace is in use."""
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
        """What logs call it."""
        return self.folder.name

    def listen(self) -> socket.socket:
        """A listening Unix socket that the sandbox alone finds, at BROKER_SOCKET. The caller closes it."""
        path = self.folder / "broker.sock"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        open_to(self.uid, path, 0o660)
        listener.listen(1)
        self.shown[BROKER_SOCKET] = path
        return listener

    def start(self, *, stdin: int = subprocess.DEVNULL) -> SandboxProcess:
        """Start the command and let it run; it ends with the sandbox, or with this process. Its caller has reserved
        its memory, or does before anything of an agent runs.

        Args:
            stdin: as for subprocess.Popen; stdout and stderr are pipes.

        Raises:
            SandboxError: a program that is needed is missing.
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
        """Run the command, as soon as the machine has memory for it, until it ends or a limit ends it. Blocks.

        Raises:
            CrowdedError: no memory came free in time.
            SandboxError: the sandbox could not be set up.
        """
        part: Part = "programs" if self.spec.view == "training" else "others"
        with Reservation(self.spec.owner, part) as memory:
            memory.take(self.spec.limits.memory_bytes, stopped=self._stopped)
            return self.watch(self.start())

    def watch(self, running: SandboxProcess) -> Outcome:
        """Wait for a started command, as `run` does. Its time counts from here."""
        outcome = Supervisor(running, self.guard(running), self.spec.limits, self._stopped).outcome()
        fate = f"killed: {outcome.killed}" if outcome.killed else f"exit code {outcome.exit_code}"
        log.info("sandbox %s: %s after %.1f s", self.name, fate, outcome.seconds)
        return outcome

    def guard(self, running: SandboxProcess) -> ResourceMonitor:
        """What enforces the limits of a started command."""
        return ResourceMonitor(running, self.spec.limits, self.spec.workspace, self.cgroup)

    def stop(self) -> None:
        """End the sandbox, from any thread; `run` then returns an outcome with `killed` "stopped"."""
        self._stopped.set()

    def _count(self, by: int) -> None:
        metrics.SANDBOXES.change(by, kind=self.spec.view)

    def _identity(self) -> AbstractContextManager[int]:
        return leased_uid()

    def _show(self, place: str, content: bytes) -> None:
        """Let a small file appear at a place in the sandbox."""
        path = self.folder / Path(place).name
        path.write_bytes(content)
        open_to(self.uid, path, 0o640)
        self.shown[place] = path
