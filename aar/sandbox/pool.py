"""Sandboxes that are ready before they are needed: started, their imports done, waiting on the broker's socket.

Each serves once. Starting a sandbox with Python and numpy takes a hundred times as long as the first exchange with one
that waits.

Covers: that the peer on the socket is a process of this very sandbox, by what the kernel says of it.
Does not cover: what the peer says.
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
from aar.sandbox.sandbox import Sandbox
from aar.sandbox.supervisor import Outcome

START_SECONDS = 60.0
CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


class WarmSandbox(Closing):
    """A started sandbox whose program has connected to the broker's socket: a context manager, used once.

    Attributes:
        closing: what ends with it.
    """

    connection: socket.socket
    closing: ExitStack

    def __init__(self, provider: Provider, spec: Spec) -> None:
        """Raises SandboxError when the sandbox cannot be built or its program does not connect."""
        with ExitStack() as stack:
            self._sandbox = stack.enter_context(provider.open(spec))
            with self._sandbox.listen() as listener:
                self._running = self._sandbox.start()
                self.connection = stack.enter_context(_connection(self._sandbox, self._running, listener))
            self.closing = stack.pop_all()

    @property
    def alive(self) -> bool:
        """Whether it still waits."""
        return self._running.process.poll() is None

    @property
    def name(self) -> str:
        """What logs call it."""
        return self._sandbox.name

    def outcome(self) -> Outcome:
        """Wait for the program's end, as `Sandbox.run` does. Its time counts from here."""
        return self._sandbox.watch(self._running)

    def stop(self) -> None:
        """End it, from any thread."""
        self._sandbox.stop()

    def close(self) -> None:
        """End it, and let go of what belongs to it."""
        self.closing.close()


class Pool:
    """So many warm sandboxes of one kind; one that was taken is replaced in the background."""

    def __init__(self, provider: Provider, spec: Spec, size: int) -> None:
        self._provider, self._spec, self._size = provider, spec, size
        self._ready: deque[WarmSandbox] = deque()
        self._wanted = threading.Condition()
        self._closed = False
        self._filler = threading.Thread(target=self._fill, name="sandbox-pool", daemon=True)
        self._filler.start()

    def take(self, owner: str = "") -> WarmSandbox:
        """A warm sandbox for the caller alone, as soon as the machine has memory for it.

        Args:
            owner: as `Spec.owner`.

        Raises:
            CrowdedError: no memory came free in time.
            SandboxError: it cannot be built.
        """
        with ExitStack() as stack:
            memory = stack.enter_context(Reservation(owner))
            memory.take(self._spec.limits.memory_bytes)
            sandbox = self._next()
            stack.push(sandbox.closing)
            sandbox.closing = stack.pop_all()
        return sandbox

    def _next(self) -> WarmSandbox:
        """One that is ready, or else one that is made now."""
        with self._wanted:
            ready = self._ready.popleft() if self._ready else None
            self._wanted.notify()
        if ready and ready.alive:
            return ready
        if ready:
            ready.close()
        return WarmSandbox(self._provider, self._spec)

    def close(self) -> None:
        """End those that wait, and make no more."""
        with self._wanted:
            self._closed = True
            self._wanted.notify()
        self._filler.join()
        while self._ready:
            self._ready.popleft().close()

    def _fill(self) -> None:
        while True:
            with self._wanted:
                self._wanted.wait_for(lambda: self._closed or len(self._ready) < self._size)
                if self._closed:
                    return
            try:
                self._ready.append(WarmSandbox(self._provider, self._spec))
            except SandboxError:  # whoever takes one next meets the same error, and can tell it
                return


def _connection(sandbox: Sandbox, running: SandboxProcess, listener: socket.socket) -> socket.socket:
    """The first connection from the sandbox itself."""
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
