"""Limits follow the configuration, and sizes are formatted for readers."""

from pathlib import Path

import pytest

from aar.config import SandboxConfig
from aar.sandbox import Limits, Spec
from aar.sandbox.api import readable_bytes


def test_limits_follow_the_configuration() -> None:
    limits = Limits.from_config(SandboxConfig(memory_gib=0.5, cpu_seconds=7, wall_seconds=8, processes=9, file_mib=10))
    assert limits.memory_bytes == 2**29
    assert (limits.cpu_seconds, limits.wall_seconds, limits.processes) == (7, 8, 9)
    assert limits.file_bytes == 10 * 2**20


def test_defaults_are_those_of_the_configuration() -> None:
    assert Limits.from_config(SandboxConfig()) == Limits()


@pytest.mark.parametrize(
    ("count", "text"), [(4 * 2**30, "4 GiB"), (3 * 2**29, "1.5 GiB"), (2**20, "1 MiB"), (2048, "2 KiB"), (7, "7 bytes")]
)
def test_sizes_read_naturally(count: int, text: str) -> None:
    assert readable_bytes(count) == text


def test_files_cannot_be_shown_in_a_workspace_and_the_error_names_the_alternative() -> None:
    with pytest.raises(ValueError, match="use read_only, at paths outside /work"):
        Spec(("true",), files={"a": b""}, workspace=Path("/tmp"))
