"""What the sandbox costs an experiment: a method that does nothing but return a student, run behind the wall.

    python benchmarks/sandbox.py [RUNS]

Prints the median milliseconds of a whole method run (sandbox start, Python, numpy, broker, one fine_tune call that the
backend answers at once), and of a bare Python process that imports numpy, for the ratio.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from aar.lab.broker import Description, FineTuneCall
from aar.lab.method_process import run_method
from aar.sandbox import Limits, require_sandbox

METHOD = b"def supervise(lab):\n    return lab.fine_tune(lab.weak_labels)\n"


class InstantBackend:
    """Answers at once; what it answers does not matter here."""

    def describe(self) -> Description:
        """A hundred examples."""
        examples = [{"question": "", "choice": f"text {number}"} for number in range(100)]
        return Description("binary", examples, np.full((100, 2), 0.5, np.float32), seed=0)

    def fine_tune(self, request: FineTuneCall) -> str:
        """A student that was not trained."""
        return "student-1"

    def zero_shot(self, template: str | None) -> np.ndarray:
        """Indifference."""
        return np.full((100, 2), 0.5)

    def embed(self, layer: int) -> np.ndarray:
        """Nothing."""
        return np.zeros((100, 1, 4))

    def predict(self, student: str, rows: np.ndarray | None) -> np.ndarray:
        """Indifference."""
        return np.full((100, 2), 0.5)


def median_ms(run: Callable[[], object], runs: int) -> float:
    """Median wall time of `run` after one warm-up."""
    run()
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def main(runs: int) -> None:
    """Measure and print."""
    require_sandbox()
    walled = median_ms(lambda: run_method(METHOD, InstantBackend(), limits=Limits(), fits=1), runs)
    bare = median_ms(lambda: subprocess.run([sys.executable, "-c", "import numpy"], check=True), runs)
    print(f"method in the sandbox   {walled:6.1f} ms   {walled / bare:.2f}")
    print(f"python with numpy       {bare:6.1f} ms   1.00")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
