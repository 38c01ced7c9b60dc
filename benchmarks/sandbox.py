"""The cost of isolation: a shell command and a whole method run, with a sandbox and without.

    python -m benchmarks.sandbox [RUNS]

Prints medians in milliseconds and ratios; the two of a pair are measured alternately in the same run. "warm" is the
cost for experiments, whose sandboxes have been started before. A method's run is the exchange of its source, one
fine_tune call that the backend answers at once, and the end of its process.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import numpy as np

from aar.experiments.broker import FineTuneCall, RunBudget, RunInfo, TrainCall
from aar.experiments.method_sandbox import method_pool, run_method
from aar.models.recipe import Pooling, Recipe
from aar.sandbox import Limits, Shell, provider, require_sandbox
from aar.sandbox.pool import Pool

METHOD = b"def supervise(lab):\n    return lab.fine_tune(lab.weak_labels)\n"
COMMANDS = {"shell: true": "true", "shell: ls": "ls -la /", "shell: python3": "python3 -c 'import numpy'"}
WALLS = ("bubblewrap", "none")
REFILL_SECONDS = 0.4


class InstantBackend:
    """Answers at once, with values that do not matter here."""

    def describe(self) -> RunInfo:
        """Return a hundred examples."""
        examples = [{"question": "", "choice": f"text {number}"} for number in range(100)]
        return RunInfo("binary", examples, np.full((100, 2), 0.5, np.float32), seed=0, recipe=Recipe())

    def fine_tune(self, request: FineTuneCall) -> str:
        """Return the name of a student that was not trained."""
        return "student-1"

    def train(self, call: TrainCall) -> str:
        """As `fine_tune`."""
        return "student-1"

    def zero_shot(self, template: str | None, labels: tuple[str, str] | None) -> np.ndarray:
        """Return even probabilities."""
        return np.full((100, 2), 0.5)

    def head(self, weight: np.ndarray, bias: float) -> str:
        return "student-1"

    def average(self, students: tuple[str, ...], shares: tuple[float, ...]) -> str:
        return students[0]

    def embed(self, layer: float | tuple[float, ...], pool: Pooling) -> np.ndarray:
        """Return no hidden states."""
        return np.zeros((100, 1, 4))

    def predict(self, student: str, rows: np.ndarray | None) -> np.ndarray:
        """Return even probabilities."""
        return np.full((100, 2), 0.5)

    def predict_test(self, student: str) -> np.ndarray:
        """Return even probabilities."""
        return np.full((100, 2), 0.5)


def medians(runs: int, *measured: Callable[[], object], pause: float = 0) -> list[float]:
    """Return the median milliseconds of each, measured alternately after one warm-up."""
    times: list[list[float]] = [[] for _ in measured]
    for _ in range(runs + 1):
        for run, spent in zip(measured, times, strict=True):
            time.sleep(pause)
            began = time.perf_counter()
            run()
            spent.append(1000 * (time.perf_counter() - began))
    return [statistics.median(spent[1:]) for spent in times]


def report(what: str, walled: float, bare: float) -> None:
    """Print one line."""
    print(f"{what:20} {walled:8.2f} ms   without {bare:8.2f} ms   adds {walled - bare:7.2f} ms   x {walled / bare:.2f}")


def measure_shells(runs: int) -> None:
    """Measure commands in a shell that is already running."""
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in WALLS]
        walled, bare = (
            stack.enter_context(Shell(provider(wall), folder, Limits()))
            for wall, folder in zip(WALLS, folders, strict=True)
        )
        for what, command in COMMANDS.items():
            report(what, *medians(runs, partial(walled.run, command, 60), partial(bare.run, command, 60)))


def measure_methods(runs: int) -> None:
    """Measure whole method runs, cold and warm."""
    for what, size, pause in (("method: cold", 0, 0.0), ("method: warm", 1, REFILL_SECONDS)):
        with ExitStack() as stack:
            pools = [stack.enter_context(closing(method_pool(provider(wall), Limits(), size))) for wall in WALLS]
            report(what, *medians(runs, *(partial(run_instantly, pool) for pool in pools), pause=pause))


def run_instantly(pool: Pool) -> str | np.ndarray:
    """Run a method whose lab calls cost nothing."""
    return run_method(METHOD, InstantBackend(), pool, RunBudget(1))


if __name__ == "__main__":
    require_sandbox()
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    measure_shells(count)
    measure_methods(count)
