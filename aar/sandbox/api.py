"""The specification of a sandbox and its limits, as data; the same for every provider."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:  # sandboxes work without the settings and their imports
    from aar.config import SandboxConfig

MIB = 2**20
GIB = 2**30
SHARED_MEMORY_BYTES = 64 * MIB  # of /dev/shm


class Closing(ABC):
    """A context manager that closes what it holds at the end of its block."""

    @abstractmethod
    def close(self) -> None:
        """Release what is held. Calling it again has no effect."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Limits:
    """The limits of one sandbox. Exceeding a limit on a total kills the whole process tree.

    `memory_bytes` and `cpu_seconds` are sums over the tree; memory includes files in /tmp and /dev/shm. `processes`
    also counts threads. `file_bytes` limits one file, and also all of /tmp and of a temporary /work. `disk_bytes`
    limits a workspace, and `files` the number of files and folders in it, or in one of those places. `output_bytes`
    limits stdout and stderr each. In a shell, CPU time, wall time and output are those of one command.
    """

    memory_bytes: int = GIB
    cpu_seconds: float = 600
    wall_seconds: float = 3600
    processes: int = 64
    file_bytes: int = 256 * MIB
    disk_bytes: int = GIB
    files: int = 20_000
    open_files: int = 256
    output_bytes: int = MIB

    @classmethod
    def from_config(cls, config: SandboxConfig) -> Limits:
        """Return the limits of a campaign's configuration."""
        return cls(
            memory_bytes=int(config.memory_gib * GIB),
            cpu_seconds=config.cpu_seconds,
            wall_seconds=config.wall_seconds,
            processes=config.processes,
            file_bytes=config.file_mib * MIB,
            disk_bytes=config.disk_mib * MIB,
            files=config.files,
        )


def readable_bytes(count: int) -> str:
    """Format `count` in the largest binary unit in which it is at least 1, for example "4 GiB" or "1.5 MiB"."""
    for size, unit in ((GIB, "GiB"), (MIB, "MiB"), (1024, "KiB")):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count} bytes"


View = Literal["method", "shell", "training"]
"""The programs that a sandbox sees.

"method": Python with numpy and the lab's client. "shell": those, and the machine's command-line tools. "training":
those of "shell", and torch with the packages that a training program needs.
"""

PYTHON = ("/runtime/bin/python3", "-ISB")
TRAINING_PYTHON = ("/runtime/shell/python3", "-sB")
BROKER_SOCKET = "/run/broker.sock"


@dataclass(frozen=True)
class Spec:
    """The specification of one sandbox.

    A program learns paths from its command and its environment, not from constants: only an isolating provider can put
    files at the very paths that are given here.

    Attributes:
        command: the command that runs in it, with paths as the sandbox sees them.
        files: contents of small files that appear read-only in /work, by name.
        read_only: files and folders of the host that appear read-only, by their path in the sandbox.
        workspace: a folder of the host that appears as a writable /work, used by one sandbox at a time. None: /work
            is removed with the sandbox.
        gpus: numbers of the devices that it may use.
        owner: whose sandboxes share one part of the machine's memory; "" for none.
        environment: variables in addition to the few that every sandbox has.
    """

    command: tuple[str, ...]
    limits: Limits = field(default_factory=Limits)
    view: View = "method"
    files: Mapping[str, bytes] = field(default_factory=dict)
    read_only: Mapping[str, Path] = field(default_factory=dict)
    workspace: Path | None = None
    gpus: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""

    def __post_init__(self) -> None:
        if self.files and self.workspace:
            raise ValueError("files cannot be shown in a workspace; use read_only, at paths outside /work")
