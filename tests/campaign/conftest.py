"""A campaign that ran to its end, for the tests that look at one."""

import socket
from pathlib import Path

import pytest

from tests.campaign.tiny_campaign import write_campaign


@pytest.fixture(scope="session")
def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def tiny(tmp_path: Path, free_port: int) -> Path:
    """The TOML of a tiny campaign that has not run."""
    return write_campaign(tmp_path, free_port)
