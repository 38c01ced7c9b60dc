"""What the rules of the conformance suite use: expectations, and sandboxes with small limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aar.sandbox.api import MIB, PYTHON, Limits, Spec
from aar.sandbox.provider import Provider
from aar.sandbox.sandbox import Outcome, Sandbox
from aar.sandbox.shell import Shell

SMALL = Limits(
    memory_bytes=256 * MIB, cpu_seconds=20, wall_seconds=20, processes=40, file_bytes=4 * MIB, disk_bytes=8 * MIB,
    files=500,
)  # fmt: skip


class Nonconforming(Exception):
    """A provider does not follow a rule."""


def expect(actual: object, expected: object) -> None:
    """Raise Nonconforming unless both are equal."""
    if actual != expected:
        raise Nonconforming(f"got {str(actual)[:300]!r} instead of {str(expected)[:300]!r}")


def expect_killed(killed: str | None, reason: str) -> None:
    """Raise Nonconforming unless the reason of a kill begins with `reason`."""
    if not (killed or "").startswith(reason):
        raise Nonconforming(f"killed by {killed!r} instead of {reason!r}")


@dataclass(frozen=True)
class ConformanceTrial:
    """A provider under test, and an empty folder of the host for the trial."""

    provider: Provider
    folder: Path
    limits: Limits = SMALL

    def open(self, program: str, limits: Mapping[str, Any] | None = None, **spec: Any) -> Sandbox:
        """Return a sandbox for a Python program, to be entered; `limits` replace small ones."""
        request = Spec((*PYTHON, "-c", program), replace(self.limits, **(limits or {})), **spec)
        return self.provider.open(request)

    def run(self, program: str, limits: Mapping[str, Any] | None = None, **spec: Any) -> Outcome:
        """Run a Python program to its end."""
        with self.open(program, limits, **spec) as sandbox:
            return sandbox.run()

    def workspace(self, name: str = "work") -> Path:
        """Make an empty workspace, in a folder that no other user can enter."""
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        return folder

    def shell(self, **limits: Any) -> Shell:
        """Return a shell in an empty workspace, to be entered."""
        return Shell(self.provider, self.workspace(), replace(self.limits, **limits))
