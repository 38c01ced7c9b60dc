"""What a run's fits had in common with any other method's: the recipe, noted while the method runs.

Verification replays it with other labels, to tell a better recipe from better supervision (aar.scoring.replay).
"""

from aar.scoring.records import Fit


class FitLog:
    """Students by the handles that the method knows, in the order of their fits."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._fits: list[Fit] = []
        self._asked: set[int] = set()
        self._by_program = False

    @property
    def fits(self) -> tuple[Fit, ...] | None:
        """The fits so far; None once a program of the method's own has trained a student, which cannot be replayed."""
        return None if self._by_program else tuple(self._fits)

    def fitted(self, handle: str, epochs: float, lr: float, base: str | None) -> None:
        """A fit ended with the student `handle`; it went on from `base`, if from any."""
        start = None if base is None else self._numbers[base]
        self._numbers[handle] = len(self._fits)
        self._fits.append(Fit(epochs, lr, start, tuple(sorted(self._asked))))
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
