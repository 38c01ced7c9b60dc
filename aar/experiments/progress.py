"""How far an experiment is: what its method has printed in each run, and how to end what runs. In memory alone.

What a run's fits had in common with any other method's: the recipe, noted while the method runs.

Verification replays it with other labels, to tell a better recipe from better supervision (see
aar.scoring.verification.controls).
"""

from collections.abc import Callable

from aar.experiments.broker import printable
from aar.scoring.records import ExperimentRun, FitRecipe


class FitLog:
    """Students by the handles that the method knows, in the order of their fits."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._fits: list[FitRecipe] = []
        self._asked: set[int] = set()
        self._by_program = False

    @property
    def fits(self) -> tuple[FitRecipe, ...] | None:
        """The fits so far; None once a program of the method's own has trained a student, which cannot be replayed."""
        return None if self._by_program else tuple(self._fits)

    def fitted(self, handle: str, epochs: float, lr: float, base: str | None) -> None:
        """A fit ended with the student `handle`; it went on from `base`, if from any."""
        start = None if base is None else self._numbers[base]
        self._numbers[handle] = len(self._fits)
        self._fits.append(FitRecipe(epochs, lr, start, tuple(sorted(self._asked))))
        self._asked.clear()

    def trained_by_program(self, handle: str) -> None:
        """A program of the method's own has trained the student `handle`."""
        self._by_program = True
        self.fitted(handle, epochs=0, lr=0, base=None)

    def asked(self, handle: str) -> None:
        """The method asked for a student's predictions on the training texts: its next fit may be taught by them."""
        self._asked.add(self._numbers[handle])

    def number(self, handle: str) -> int:
        """Which fit a student came from."""
        return self._numbers[handle]


MOST_CHARACTERS = 64_000


class Progress:
    """One experiment's progress, followed and asked for from any thread."""

    def __init__(self) -> None:
        self._printed: dict[str, str] = {}
        self._stops: list[Callable[[], None]] = []
        self._cancelled = False

    def of(self, run: ExperimentRun) -> "RunProgress":
        """The observer of one run."""
        return RunProgress(self, f"{run.dataset}, seed {run.seed}")

    def log(self) -> str:
        """What was printed, run by run."""
        return "\n".join(f"{run}:\n{text}" for run, text in sorted(self._printed.items()))

    def cancel(self) -> None:
        """End every run, those too that are about to start."""
        self._cancelled = True
        for stop in list(self._stops):
            stop()

    def note_start(self, stop: Callable[[], None]) -> None:
        """A run has started."""
        self._stops.append(stop)
        if self._cancelled:
            stop()

    def note_end(self, run: str, printed: str) -> None:
        """A run has ended."""
        shown = printed[-MOST_CHARACTERS:]
        cut = f"(the last {len(shown)} of {len(printed)} characters)\n" if len(shown) < len(printed) else ""
        self._printed[run] = cut + "".join(printable(line) for line in shown.splitlines(keepends=True))


class RunProgress:
    """Follows one run. Implements Observer."""

    def __init__(self, progress: Progress, run: str) -> None:
        self._progress, self._run = progress, run

    def started(self, stop: Callable[[], None]) -> None:
        self._progress.note_start(stop)

    def ended(self, printed: str) -> None:
        self._progress.note_end(self._run, printed)
