"""Warm sandboxes: started before they are needed, with imports done, waiting on the broker's socket.

Each serves once. Starting a sandbox with Python and numpy takes a hundred times as long as the first exchange with a
warm one.

Covers: the peer on the socket is a process of this very sandbox, by the credentials that the kernel reports.
Does not cover: what the peer sends.
"""

import os
import select
import socket
import struct
import threading
from collections import deque
from contextlib import ExitStack, closing

from aar.errors import SandboxError
from aar.sandbox.api import Closing, Spec
from aar.sandbox.memory import Reservation
from aar.sandbox.processes import SandboxProcess
from aar.sandbox.provider import Provider
from aar.sandbox.sandbox import Outcome, Sandbox

START_SECONDS = 60.0
CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


class WarmSandbox(Closing):
    """A started sandbox whose program has connected to the broker's socket: a context manager, used once.

    Attributes:
        closing: the resources that are released with it.
    """

    connection: socket.socket
    closing: ExitStack

    def __init__(self, provider: Provider, spec: Spec) -> None:
        """Start a sandbox. Raises SandboxError if it cannot be built or its program does not connect."""
        with ExitStack() as stack:
            self._sandbox = stack.enter_context(provider.open(spec))
            with self._sandbox.listen() as listener:
                self._running = self._sandbox.start()
                self.connection = stack.enter_context(_connection(self._sandbox, self._running, listener))
            self.closing = stack.pop_all()

    @property
    def alive(self) -> bool:
        """True while it waits to be used."""
        return self._running.process.poll() is None

    @property
    def name(self) -> str:
        """The sandbox's name in logs."""
        return self._sandbox.name

    def outcome(self) -> Outcome:
        """Wait for the program's end, as `Sandbox.run` does. Its time starts here."""
        return self._sandbox.watch(self._running)

    def stop(self) -> None:
        """End it, from any thread."""
        self._sandbox.stop()

    def close(self) -> None:
        """End it and release its resources."""
        self.closing.close()


class Pool:
    """Keeps `size` warm sandboxes of one kind, and replaces those that are taken in the background."""

    def __init__(self, provider: Provider, spec: Spec, size: int) -> None:
        self._provider, self._spec, self._size = provider, spec, size
        self._ready: deque[WarmSandbox] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._filler = threading.Thread(target=self._fill, name="sandbox-pool", daemon=True)
        self._filler.start()

    def take(self, owner: str = "") -> WarmSandbox:
        """Return a warm sandbox for the caller alone, once the machine has memory for it.

        Args:
            owner: as in `Spec`.

        Raises:
            CrowdedError: no memory became free in time.
            SandboxError: the sandbox cannot be built.
        """
        with ExitStack() as stack:
            memory = stack.enter_context(Reservation(owner))
            memory.take(self._spec.limits.memory_bytes)
            sandbox = self._next()
            stack.push(sandbox.closing)
            sandbox.closing = stack.pop_all()
        return sandbox

    def _next(self) -> WarmSandbox:
        """Return a sandbox that is ready, or else start one."""
        with self._changed:
            ready = self._ready.popleft() if self._ready else None
            self._changed.notify_all()
        if ready and ready.alive:
            return ready
        if ready:
            ready.close()
        return WarmSandbox(self._provider, self._spec)

    def wait_until_full(self, seconds: float) -> bool:
        """Wait until `size` sandboxes are ready. False if they are not within `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._ready) >= self._size, seconds)

    def close(self) -> None:
        """End the sandboxes that wait, and start no more. Calling it again has no effect."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._filler.join()
        while self._ready:
            self._ready.popleft().close()

    def _fill(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or len(self._ready) < self._size)
                if self._closed:
                    return
            try:
                sandbox = WarmSandbox(self._provider, self._spec)
            except SandboxError:  # the next `take` starts one itself, and raises the same error to its caller
                return
            with self._changed:
                self._ready.append(sandbox)
                self._changed.notify_all()


def _connection(sandbox: Sandbox, running: SandboxProcess, listener: socket.socket) -> socket.socket:
    """Return the first connection from the sandbox itself; close those from other processes."""
    ended = os.pidfd_open(running.pid)
    poll = select.poll()
    for descriptor in (listener.fileno(), ended):
        poll.register(descriptor, select.POLLIN)
    with closing(os.fdopen(ended, "rb")):
        while True:
            if listener.fileno() not in dict(poll.poll(1000 * START_SECONDS)):
                sandbox.stop()
                outcome = sandbox.watch(running)
                raise SandboxError(f"a sandbox's program did not start: {outcome.stderr.strip()[-500:]}")
            connection, _ = listener.accept()
            peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
            pid, uid, _ = CREDENTIALS.unpack(peer)
            if uid == sandbox.uid and running.has(pid):
                return connection
            connection.close()
