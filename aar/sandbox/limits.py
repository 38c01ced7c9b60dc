"""How much a sandbox may use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the sandbox itself runs without the settings and what they import
    from aar.config import SandboxConfig

MIB = 2**20
GIB = 2**30


@dataclass(frozen=True)
class Limits:
    """What one sandbox may use. Exceeding memory, CPU, wall time or output kills the whole process tree.

    `memory_bytes` and `cpu_seconds` are sums over the tree; `processes` counts threads too; `file_bytes` bounds one
    file, and also all of /work and all of /tmp; `output_bytes` bounds stdout and stderr each.
    """

    memory_bytes: int = 4 * GIB
    cpu_seconds: float = 600
    wall_seconds: float = 3600
    processes: int = 64
    file_bytes: int = 256 * MIB
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
        )


def readable_bytes(count: int) -> str:
    """`count` in the largest binary unit that leaves it at least 1, for example "4 GiB" or "1.5 MiB"."""
    for size, unit in ((GIB, "GiB"), (MIB, "MiB"), (1024, "KiB")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"
