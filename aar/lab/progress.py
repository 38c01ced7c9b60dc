"""How far an experiment is: what its method has printed in each run, and how to end what runs. In memory alone."""

import threading
from collections.abc import Callable

from aar.lab.broker import printable
from aar.scoring.records import Run

MOST_CHARACTERS = 64_000


class Progress:
    """One experiment's progress, followed and asked for from any thread.

    Attributes:
        turn: held by whoever runs the experiment.
    """

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self._printed: dict[str, str] = {}
        self._stops: list[Callable[[], None]] = []
        self._cancelled = False

    def of(self, run: Run) -> "RunProgress":
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
