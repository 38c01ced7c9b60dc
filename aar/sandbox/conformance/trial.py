"""What the rules of the conformance suite have at hand."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aar.sandbox.api import MIB, PYTHON, Limits, Spec
from aar.sandbox.provider import Provider
from aar.sandbox.sandbox import Sandbox
from aar.sandbox.shell import Shell
from aar.sandbox.supervisor import Outcome

SMALL = Limits(
    memory_bytes=256 * MIB, cpu_seconds=20, wall_seconds=20, processes=40, file_bytes=4 * MIB, disk_bytes=8 * MIB,
    files=500,
)  # fmt: skip


class Nonconforming(Exception):
    """A provider does not do what a rule says."""


def expect(found: object, wanted: object) -> None:
    """Raises Nonconforming unless what was found is what is wanted."""
    if found != wanted:
        raise Nonconforming(f"found {str(found)[:300]!r} instead of {str(wanted)[:300]!r}")


def expect_killed(killed: str | None, reason: str) -> None:
    """Raises Nonconforming unless the reason for a kill begins so."""
    if not (killed or "").startswith(reason):
        raise Nonconforming(f"killed by {killed!r} instead of {reason!r}")


@dataclass(frozen=True)
class ConformanceTrial:
    """A provider to try, and an empty folder of the host's that the trial may use."""

    provider: Provider
    folder: Path
    limits: Limits = SMALL

    def open(self, program: str, limits: Mapping[str, Any] | None = None, **spec: Any) -> Sandbox:
        """A sandbox for a Python program, to be entered; `limits` differ from small ones, `spec` from an empty one."""
        asked = Spec((*PYTHON, "-c", program), replace(self.limits, **(limits or {})), **spec)
        return self.provider.open(asked)

    def run(self, program: str, limits: Mapping[str, Any] | None = None, **spec: Any) -> Outcome:
        """How a Python program ended."""
        with self.open(program, limits, **spec) as sandbox:
            return sandbox.run()

    def workspace(self, name: str = "work") -> Path:
        """An empty workspace, in a folder that nobody else can enter."""
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        return folder

    def shell(self, **limits: Any) -> Shell:
        """A shell in an empty workspace, to be entered."""
        return Shell(self.provider, self.workspace(), replace(self.limits, **limits))
