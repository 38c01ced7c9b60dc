"""What several parts' tests share."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray

import aar
from aar.sandbox.linux.runtime import prepared_runtime
from aar.sandbox.processes import descendants

ORDINARY_USER = 12345


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A real Ray of this test run's own, with two CPUs. Use a namespace per test."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # workers start twice as fast when imports are byte-compiled
    ray.init(address="local", num_cpus=2, include_dashboard=True, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def others() -> set[int]:
    """The processes below this one that were there before the test."""
    return set(descendants(os.getpid()))


@pytest.fixture(scope="session")
def as_ordinary_user() -> Iterator[Callable[[str], str]]:
    """Run a host program that uses `aar.sandbox` as a user who is not root, and return what it printed.

    The interpreter of the tests may lie under root's home, so the user gets the sandbox's runtime as interpreter.
    """
    if os.geteuid() != 0:
        pytest.skip("these tests already run as an ordinary user")
    runtime = prepared_runtime().folder
    home = Path(f"/tmp/aar-test-user-{os.getpid()}")
    for source, target in ((Path(aar.__file__).parent, "aar"), (Path(__file__).parent / "attacks", "tests/attacks")):
        shutil.copytree(source, home / "code" / target, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["chown", "-R", f"{ORDINARY_USER}:{ORDINARY_USER}", home], check=True)

    def run(program: str) -> str:
        command = ["setpriv", "--reuid", str(ORDINARY_USER), "--regid", str(ORDINARY_USER), "--clear-groups"]
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(home), "LD_LIBRARY_PATH": f"{runtime}/lib",
        }  # fmt: skip
        program = f"import sys; sys.path.insert(0, {str(home / 'code')!r})\n{program}"
        done = subprocess.run(
            [*command, runtime / "bin" / "python3", "-B", "-c", program], cwd="/", env=environment,
            capture_output=True, text=True, timeout=240,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run
    shutil.rmtree(home)
