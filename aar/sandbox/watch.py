"""Watching one running sandbox: its output, its limits, its end.

Covers: totals over the process tree (memory, CPU), wall time and output, looked at every `TICK_SECONDS`; killing ends
every process of the tree, also those that left their session or their parent.
Does not cover: memory between two looks (an excess lasts a tick at most), and what /work, /tmp and /dev/shm hold, which
is bounded by their own sizes and comes on top of the memory limit.
"""

import contextlib
import json
import os
import select
import selectors
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import IO

from aar.errors import SandboxError
from aar.sandbox.limits import Limits, readable_bytes
from aar.sandbox.tree import usage

TICK_SECONDS = 0.05
SIGNAL_EXIT = 128  # added to the number of the signal, as shells and bubblewrap do
DEATH_SECONDS = 10.0  # how long the kernel may take to end a killed tree


@dataclass(frozen=True)
class Outcome:
    """How a sandboxed command ended. `killed` says what ended it from outside, for example "memory limit 4 GiB"."""

    exit_code: int
    stdout: str
    stderr: str
    seconds: float
    killed: str | None


class Watch:
    """Watches a bubblewrap process that was just started; `outcome` blocks until its whole tree has ended."""

    def __init__(
        self, process: subprocess.Popen[bytes], reports: IO[bytes], limits: Limits, stopped: threading.Event
    ) -> None:
        """`reports`: what bubblewrap writes to --json-status-fd. `stopped`: set by whoever wants the sandbox to end."""
        assert process.stdout and process.stderr
        self._process = process
        self._limits = limits
        self._stopped = stopped
        self._started = time.monotonic()
        self._next_look = self._started
        self._killed: str | None = None
        self._init: int | None = None  # pidfd of the first process of the sandbox's pid namespace
        self._reports = reports.fileno()
        self._out, self._err = process.stdout.fileno(), process.stderr.fileno()
        self._read = {self._reports: bytearray(), self._out: bytearray(), self._err: bytearray()}

    def outcome(self) -> Outcome:
        """How the command ended.

        Raises:
            SandboxError: it never began, because bubblewrap could not build the sandbox.
        """
        try:
            self._follow()
        finally:
            self._end_tree()
        return self._conclude(time.monotonic() - self._started)

    def _follow(self) -> None:
        """Collect output and enforce limits until bubblewrap ends."""
        ended = os.pidfd_open(self._process.pid)
        with contextlib.closing(os.fdopen(ended, "rb")), selectors.DefaultSelector() as selector:
            for source in (ended, *self._read):
                selector.register(source, selectors.EVENT_READ)
            while True:
                ready = [key.fd for key, _ in selector.select(TICK_SECONDS)]
                for source in ready:
                    if source in self._read and not self._collect(source):
                        selector.unregister(source)
                if ended in ready:
                    return
                self._enforce()

    def _collect(self, source: int) -> bool:
        """Take in what can be read from `source`; False at its end."""
        chunk = os.read(source, 2**16)
        self._read[source] += chunk
        if source == self._reports:
            self._find_init()
        elif len(self._read[source]) > self._limits.output_bytes:
            self._kill(f"output limit {readable_bytes(self._limits.output_bytes)}")
        return bool(chunk)

    def _find_init(self) -> None:
        pid = self._report("child-pid")
        if self._init is None and pid is not None:
            with contextlib.suppress(ProcessLookupError):  # it has ended already
                self._init = os.pidfd_open(pid)

    def _report(self, key: str) -> int | None:
        """A number that bubblewrap reported, one JSON object a line, or None if it has not (yet)."""
        lines = bytes(self._read[self._reports]).split(b"\n")
        reported = [json.loads(line) for line in lines if line.strip().endswith(b"}")]
        return next((int(report[key]) for report in reported if key in report), None)

    def _enforce(self) -> None:
        now = time.monotonic()
        if self._stopped.is_set():
            self._kill("stopped")
        elif now - self._started > self._limits.wall_seconds:
            self._kill(f"wall time limit {self._limits.wall_seconds:g} s")
        elif now >= self._next_look:
            self._enforce_totals()
            self._next_look = time.monotonic() + TICK_SECONDS

    def _enforce_totals(self) -> None:
        tree = usage(self._process.pid)
        if sum(process.cpu_seconds for process in tree) > self._limits.cpu_seconds:
            self._kill(f"CPU time limit {self._limits.cpu_seconds:g} s")
        # Resident memory counts shared pages again and again: enough to acquit, not to convict.
        elif sum(process.resident_bytes for process in tree) > self._limits.memory_bytes and (
            sum(process.proportional_bytes() for process in tree) > self._limits.memory_bytes
        ):
            self._kill(f"memory limit {readable_bytes(self._limits.memory_bytes)}")

    def _kill(self, reason: str) -> None:
        self._killed = self._killed or reason
        # With its first process the kernel ends a whole pid namespace.
        if self._init is not None:
            _send_kill(self._init)
        self._process.kill()

    def _end_tree(self) -> None:
        """Make sure that nothing of the tree is left, then take the last of its output."""
        self._process.kill()
        self._process.wait()
        if self._init is not None:
            _send_kill(self._init)
            gone, _, _ = select.select([self._init], [], [], DEATH_SECONDS)
            os.close(self._init)
            if not gone:
                raise SandboxError(f"a killed sandbox did not end within {DEATH_SECONDS:g} s; is its disk hanging?")
        for source in self._read:
            while select.select([source], [], [], 0)[0] and self._collect_rest(source):
                pass

    def _collect_rest(self, source: int) -> bool:
        chunk = os.read(source, 2**16)
        self._read[source] += chunk
        return bool(chunk) and len(self._read[source]) <= self._limits.output_bytes

    def _conclude(self, seconds: float) -> Outcome:
        stdout, stderr = (self._text(source) for source in (self._out, self._err))
        code, killed = self._report("exit-code"), self._killed
        if code is None:
            code = self._process.returncode
            if code < 0:
                killed = killed or f"from outside, by signal {-code}"
                code = SIGNAL_EXIT - code
            elif killed is None:
                raise SandboxError(f"the sandbox could not be set up: {stderr.strip()}. `aar doctor` finds out why.")
        return Outcome(code, stdout, stderr, seconds, killed)

    def _text(self, source: int) -> str:
        return bytes(self._read[source][: self._limits.output_bytes]).decode(errors="replace")


def _send_kill(pidfd: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
