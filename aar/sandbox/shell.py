"""A researcher's shell: one sandboxed bash that keeps its folder, variables and functions between commands.

Each command goes to bash's standard input as one quoted word for `eval`. When it has ended, bash reports this on the
pipe that it got as standard error and has moved to a descriptor that the command itself does not have.

While a command runs, its memory limit is reserved. An idle shell holds only what it uses (see `memory`).

Covers: the limits of `Limits`: CPU time, wall time and output for each command, and the others at all times, also for
background processes. Exceeding one ends the whole process tree, and the next command gets a fresh bash in the same
workspace.
Does not cover: a command that forges its own exit code or breaks its own bash; only its author is misled.
"""

import contextlib
import logging
import os
import re
import secrets
import selectors
import shlex
import subprocess
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from aar.errors import SandboxError
from aar.sandbox.api import Closing, Limits, Spec, readable_bytes
from aar.sandbox.memory import Reservation
from aar.sandbox.monitor import TICK_SECONDS
from aar.sandbox.provider import Provider

BASH = ("/usr/bin/bash", "--noprofile", "--norc")
IDLE_TICK_SECONDS = 0.5
MAX_COMMAND_BYTES = 2**20
IDLE_PROCESSES = 3  # bubblewrap outside and inside, and bash
WAIT_SECONDS = 120.0  # for memory, before a command
CONTROL = 9  # below the descriptors that bash takes for itself, and within any limit of open files
EXIT_CODE = re.compile(rb"([0-9a-f]{16}) ([0-9]{1,3})")  # bash's report of a command's end: its mark, its exit code

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShellReply:
    """The result of one command.

    Attributes:
        output: stdout and stderr in the order they came, after output of background processes since the last command.
        exit_code: None if the command was killed.
        killed: what ended the shell with all its processes, for example "wall time limit 60 s".
    """

    output: str
    exit_code: int | None
    seconds: float
    killed: str | None


class Shell(Closing):
    """A persistent shell in `workspace`. bash starts with the first command, and again if a command ended it."""

    def __init__(
        self,
        provider: Provider,
        workspace: Path,
        limits: Limits,
        read_only: Mapping[str, Path] | None = None,
        owner: str = "",
    ) -> None:
        """`read_only`, `owner`: as in `Spec`."""
        self._provider = provider
        read_only = dict(read_only or {})
        self._spec = Spec(BASH, limits, view="shell", workspace=workspace, read_only=read_only, owner=owner)
        self._session: _Session | None = None
        self._turn = threading.Lock()

    def run(self, command: str, seconds: float) -> ShellReply:
        """Run a command and wait for it, for at most `seconds`. Calls from several threads take turns.

        Raises:
            CrowdedError: the machine has no memory for it at the moment.
            SandboxError: the sandbox cannot be built, or its workspace is in use.
            ValueError: the command has a NUL character, is not valid Unicode, or is longer than 1 MiB.
        """
        text = _checked(command)
        with self._turn:
            if self._session is None or self._session.ended:
                self._end_session()
                self._session = _Session(self._provider, self._spec)
            reply = self._session.run(text, seconds)
        fate = f"killed: {reply.killed}" if reply.killed else f"exit code {reply.exit_code}"
        log.info("shell of %s: a command ended with %s after %.1f s", self._spec.owner, fate, reply.seconds)
        return reply

    def stop(self) -> None:
        """End the shell, from any thread; a running command's reply is that it was killed by "stopped"."""
        session = self._session
        if session:
            session.stop()

    def close(self) -> None:
        """End the shell and everything in it."""
        self.stop()
        with self._turn:
            self._end_session()

    def _end_session(self) -> None:
        session, self._session = self._session, None
        if session:
            session.close()


class _Session:
    """One bash, from its start to its end, and the thread that reads its output and enforces its limits."""

    def __init__(self, provider: Provider, spec: Spec) -> None:
        self._limits = spec.limits
        self._changed = threading.Condition()
        self._output, self._reports = bytearray(), bytearray()  # read from stdout, and from the pipe for exit codes
        self._waiting_for: str | None = None  # the mark of the running command
        self._exit_code: int | None = None
        self._killed: str | None = None
        self.ended = False
        self._stopped = threading.Event()
        with ExitStack() as stack:
            self._memory = stack.enter_context(Reservation(spec.owner))
            self._memory.take(self._limits.memory_bytes, WAIT_SECONDS)
            sandbox = stack.enter_context(provider.open(spec))
            self._running = sandbox.start(stdin=subprocess.PIPE)
            self._write(f"exec {CONTROL}>&2 2>&1\n")
            self._monitor = sandbox.monitor(self._running)
            self._monitor.begin(None)
            self._attendant = threading.Thread(target=self._attend, name="sandbox-shell", daemon=True)
            self._attendant.start()
            self._closing = stack.pop_all()

    def run(self, command: str, seconds: float) -> ShellReply:
        """Run a checked command."""
        self._memory.take(self._limits.memory_bytes, WAIT_SECONDS, self._stopped)
        try:
            return self._run(command, seconds)
        finally:
            self._rest()

    def _run(self, command: str, seconds: float) -> ShellReply:
        mark = secrets.token_hex(8)
        with self._changed:
            self._waiting_for, self._exit_code = mark, None
            self._monitor.begin(seconds)
        self._send(command, mark)  # may block, so the attendant must be able to end it
        with self._changed:
            self._changed.wait_for(lambda: self._waiting_for is None or self.ended)
            spent = self._monitor.seconds()
            self._monitor.begin(None)
            output, self._output = bytes(self._output[: self._limits.output_bytes]), bytearray()
        text = output.decode(errors="replace")
        if self._exit_code is None and self._killed is None:
            raise SandboxError(f"the sandbox could not be set up: {text.strip()}. Run `aar doctor` to see why.")
        return ShellReply(text, self._exit_code, spent, self._killed)

    def _rest(self) -> None:
        """Release the memory that an idle shell does not use; keep all of it while background processes run."""
        if self.ended:
            self._memory.keep(0)
        elif len(self._running.process_usage()) <= (IDLE_PROCESSES if self._running.is_namespace else 1):
            self._memory.keep(self._monitor.memory_bytes())

    def stop(self) -> None:
        """End it now, from any thread."""
        self._stopped.set()
        with self._changed:
            self._kill("stopped")

    def close(self) -> None:
        """End it and release its resources."""
        self.stop()
        self._attendant.join()
        self._closing.close()

    def _send(self, command: str, mark: str) -> None:
        quoted = shlex.quote(command)
        self._write(f"eval {quoted} </dev/null {CONTROL}>&-\nprintf '%s %d\\n' {mark} $? >&{CONTROL}\n")

    def _write(self, text: str) -> None:
        stdin = self._running.process.stdin
        assert stdin
        with contextlib.suppress(BrokenPipeError):  # bash has ended; the attendant notices
            stdin.write(text.encode())
            stdin.flush()

    def _attend(self) -> None:
        """Collect bash's output and enforce the limits until it ends."""
        assert self._running.process.stdout and self._running.process.stderr
        out, control = self._running.process.stdout.fileno(), self._running.process.stderr.fileno()
        os.set_blocking(out, False)
        ended = os.pidfd_open(self._running.pid)
        try:
            with selectors.DefaultSelector() as selector:
                for source in (ended, out, control):
                    selector.register(source, selectors.EVENT_READ)
                while ended not in (ready := [key.fd for key, _ in selector.select(self._tick())]):
                    with self._changed:
                        for source in ready:
                            if not self._take_in(source, out):
                                selector.unregister(source)
                        self._enforce()
        finally:  # whatever went wrong, a tree that is no longer watched must not continue
            os.close(ended)
            self._running.end()
            with self._changed:
                self._finish(out)

    def _tick(self) -> float:
        return TICK_SECONDS if self._waiting_for else IDLE_TICK_SECONDS

    def _take_in(self, source: int, out: int) -> bool:
        """Read what `source` has; return False at its end."""
        try:
            chunk = os.read(source, 2**16)
        except BlockingIOError:  # it was drained a moment ago
            return True
        if source == out:
            self._output += chunk
        else:
            self._reports += chunk
            self._find_exit_code(out)
        return bool(chunk)

    def _find_exit_code(self, out: int) -> None:
        *lines, rest = bytes(self._reports).split(b"\n")
        self._reports = bytearray(rest[-100:])
        for line in lines:
            report = EXIT_CODE.fullmatch(line)
            if report is None:  # an error of bubblewrap, which writes to the same pipe
                self._output += line + b"\n"
            elif report[1].decode() == self._waiting_for and not self._killed:  # a kill takes precedence
                self._drain(out)
                self._conclude(int(report[2]))

    def _conclude(self, exit_code: int) -> None:
        """Record a command's end. If the kernel killed a process of it for its memory, the shell ends too."""
        excess = self._monitor.memory_excess()
        if excess:
            self._kill(excess)
        else:
            self._exit_code, self._waiting_for = exit_code, None
            self._changed.notify_all()

    def _drain(self, out: int) -> None:
        """Read what the command wrote before it ended, up to the output limit if a background process keeps writing."""
        with contextlib.suppress(BlockingIOError):
            while len(self._output) <= self._limits.output_bytes and (chunk := os.read(out, 2**16)):
                self._output += chunk

    def _enforce(self) -> None:
        reason = self._monitor.excess()
        if len(self._output) > self._limits.output_bytes:
            reason = reason or f"output limit {readable_bytes(self._limits.output_bytes)}"
        if reason:
            self._kill(reason)

    def _kill(self, reason: str) -> None:
        self._killed = self._killed or reason
        self._running.kill()

    def _finish(self, out: int) -> None:
        self._killed = self._killed or self._monitor.memory_excess()
        self._drain(out)
        if self._waiting_for and not self._killed:  # bash was ended by `exit`
            self._exit_code = self._running.exit_code()
        self.ended = True
        self._changed.notify_all()


def _checked(command: str) -> str:
    if "\0" in command:
        raise ValueError("a command cannot have a NUL character")
    try:
        size = len(command.encode())
    except UnicodeEncodeError:
        raise ValueError("a command must be valid Unicode; it holds half of a surrogate pair") from None
    if size > MAX_COMMAND_BYTES:
        raise ValueError(f"a command of {size} bytes is too long; write a file and run that")
    return command
