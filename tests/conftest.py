"""What several parts' tests share."""

import os
from collections.abc import Iterator

import pytest
import ray


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A real Ray of this test run's own, with two CPUs. Use a namespace per test."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # workers start twice as fast when imports are byte-compiled
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()
