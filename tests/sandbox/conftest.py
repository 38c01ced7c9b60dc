from collections.abc import Callable

import pytest

from aar.sandbox import PYTHON, Limits, Outcome, Sandbox, Spec, provider

MIB = 2**20
SMALL = Limits(memory_bytes=256 * MIB, cpu_seconds=20, wall_seconds=20, processes=20, file_bytes=4 * MIB)

RunPython = Callable[..., Outcome]


def python_sandbox(program: str, limits: Limits = SMALL) -> Sandbox:
    """A sandbox for a Python program, to be entered."""
    spec = Spec((*PYTHON, "/work/program.py"), limits, files={"program.py": program.encode()})
    return provider("bubblewrap").open(spec)


@pytest.fixture
def run_python() -> RunPython:
    """Run a Python program in a sandbox with small limits."""

    def run(program: str, limits: Limits = SMALL) -> Outcome:
        with python_sandbox(program, limits) as sandbox:
            return sandbox.run()

    return run
