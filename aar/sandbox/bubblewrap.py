"""The sandbox: one command behind the wall.

Covers: what `profile` (sight and privileges), `seccomp` (system calls), `uids` (identity) and `watch` (totals, the
end of the whole tree) cover; and when the thread that runs a sandbox dies, the sandbox dies too.
Does not cover: bugs of the kernel or of bubblewrap; side channels; device access (there is none).
"""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from aar.sandbox import profile, seccomp
from aar.sandbox.limits import Limits
from aar.sandbox.runtime import prepared_runtime
from aar.sandbox.uids import leased_uid
from aar.sandbox.watch import Outcome, Watch


class Sandbox:
    """A place for one command behind the wall: a context manager, entered once, for one `run`.

    Attributes:
        uid: the user id that the kernel knows the sandbox by, also on the broker's socket. Never 0.
    """

    uid: int

    def __init__(self, limits: Limits, files: Mapping[str, bytes] | None = None) -> None:
        """`files` appear read-only in /work under their names."""
        self.limits = limits
        self._files = dict(files or {})
        self._shown: list[tuple[Path, str]] = []
        self._cleanup = ExitStack()
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.uid = stack.enter_context(leased_uid())
            # /tmp, whatever TMPDIR says: the sandbox's uid must be able to reach it, and a socket's path must be short.
            self._folder = Path(tempfile.mkdtemp(prefix="aar-sandbox-", dir="/tmp"))
            stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
            self._hand_over(self._folder, 0o710)
            for name, content in self._files.items():
                self._show(name, content)
            self._cleanup = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def listen(self) -> socket.socket:
        """A listening Unix socket that the sandbox alone finds, at /run/broker.sock. The caller closes it."""
        path = self._folder / "broker.sock"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        self._hand_over(path, 0o660)
        listener.listen(1)
        self._shown.append((path, profile.BROKER_SOCKET))
        return listener

    def run(self, command: Sequence[str]) -> Outcome:
        """Run `command` until it ends or a limit ends it. Blocks; the sandbox dies with the calling thread.

        Raises:
            SandboxError: the sandbox could not be set up.
        """
        view = profile.View(prepared_runtime(), tuple(self._shown))
        status, status_end = os.pipe()
        filter_end = seccomp.filter_fd()
        with open(status, "rb") as reports:
            try:
                process = subprocess.Popen(
                    profile.command_line(command, view, self.limits, self.uid, status_end, filter_end),
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
                    env=profile.OUTER_ENVIRONMENT, pass_fds=(status_end, filter_end), start_new_session=True,
                )  # fmt: skip
            finally:
                os.close(status_end)
                os.close(filter_end)
            with process:
                return Watch(process, reports, self.limits, self._stopped).outcome()

    def stop(self) -> None:
        """End the sandbox, from any thread; `run` then returns an outcome with `killed` "stopped"."""
        self._stopped.set()

    def _show(self, name: str, content: bytes) -> None:
        path = self._folder / name
        path.write_bytes(content)
        self._hand_over(path, 0o640)
        self._shown.append((path, f"/work/{name}"))

    def _hand_over(self, path: Path, mode: int) -> None:
        """Let the sandbox's group use it, while it stays ours."""
        if os.geteuid() == 0:
            os.chown(path, 0, self.uid)
        path.chmod(mode)
