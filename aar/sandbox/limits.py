"""How much a sandbox may use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the sandbox itself runs without the settings and what they import
    from aar.config import SandboxConfig

MIB = 2**20
GIB = 2**30
SHARED_MEMORY_BYTES = 64 * MIB  # of /dev/shm


@dataclass(frozen=True)
class Limits:
    """What one sandbox may use. Exceeding one that is a total kills the whole process tree.

    `memory_bytes` and `cpu_seconds` are sums over the tree, memory including what lies in /tmp and /dev/shm;
    `processes` counts threads too; `file_bytes` bounds one file, and also all of /tmp and of a /work that vanishes;
    `disk_bytes` bounds a workspace, and `files` how many files and folders there are in it, or in such a place;
    `output_bytes` bounds stdout and stderr each. In a shell, CPU time, wall time and output are those of one command.
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
        """The limits that a campaign's configuration asks for."""
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
    """`count` in the largest binary unit that leaves it at least 1, for example "4 GiB" or "1.5 MiB"."""
    for size, unit in ((GIB, "GiB"), (MIB, "MiB"), (1024, "KiB")):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count} bytes"
