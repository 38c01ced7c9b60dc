"""Watching one running command: its output, its limits, its end."""

import os
import selectors
import threading
from contextlib import closing
from dataclasses import dataclass

from aar.errors import SandboxError
from aar.sandbox.api import Limits, readable_bytes
from aar.sandbox.monitor import TICK_SECONDS, ResourceMonitor
from aar.sandbox.processes import SIGNAL_EXIT, SandboxProcess, readable


@dataclass(frozen=True)
class Outcome:
    """How a sandboxed command ended. `killed` says what ended it from outside, for example "memory limit 4 GiB"."""

    exit_code: int
    stdout: str
    stderr: str
    seconds: float
    killed: str | None


class Supervisor:
    """Watches a running sandbox; `outcome` blocks until its whole tree has ended."""

    def __init__(
        self, running: SandboxProcess, guard: ResourceMonitor, limits: Limits, stopped: threading.Event
    ) -> None:
        """`stopped`: set by whoever wants the sandbox to end. Time counts from here."""
        assert running.process.stdout and running.process.stderr
        self._running, self._guard, self._limits, self._stopped = running, guard, limits, stopped
        self._killed: str | None = None
        self._out, self._err = running.process.stdout.fileno(), running.process.stderr.fileno()
        self._read = {self._out: bytearray(), self._err: bytearray()}
        guard.begin(limits.wall_seconds)

    def outcome(self) -> Outcome:
        """How the command ended.

        Raises:
            SandboxError: it never began, because the sandbox could not be built.
        """
        try:
            self._follow()
            self._killed = self._killed or self._guard.memory_excess()
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
                reason = "stopped" if self._stopped.is_set() else self._guard.excess()
                if reason:
                    self._kill(reason)

    def _collect(self, source: int) -> bool:
        """Take in what can be read from `source`; False at its end."""
        chunk = os.read(source, 2**16)
        self._read[source] += chunk
        if len(self._read[source]) > self._limits.output_bytes:
            self._kill(f"output limit {readable_bytes(self._limits.output_bytes)}")
        return bool(chunk)

    def _kill(self, reason: str) -> None:
        self._killed = self._killed or reason
        self._running.kill()

    def _collect_rest(self) -> None:
        """What the dead tree left in its pipes. A process that escaped a weak wall may still hold one open."""
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
                raise SandboxError(f"the sandbox could not be set up: {stderr.strip()}. `aar doctor` finds out why.")
        return Outcome(code, stdout, stderr, self._guard.seconds(), killed)

    def _text(self, source: int) -> str:
        return bytes(self._read[source][: self._limits.output_bytes]).decode(errors="replace")
