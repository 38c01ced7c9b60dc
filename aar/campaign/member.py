"""One researcher at work, under the eyes of the driver: tried again a few times when it fails, then ended alone.

Whose fault an exception is, its type decides. PLATFORM_ERRORS say that something is gone which everybody needs (the
disk, the compute workers, a process of the campaign): they end the run, and the same command goes on. Whatever else
comes out of a researcher's actor is the researcher's own, also what nobody has thought of, what cannot be unpickled,
and the loss of its process more often than Ray starts it again: others are not stopped for it.
"""

import time
from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from aar.errors import CampaignError, ComputeError, StorageError
from aar.remote import result
from aar.text import fitted_line

PLATFORM_ERRORS = (StorageError, ComputeError, CampaignError)
WAITS = (1.0, 5.0, 25.0)
"""Seconds before each further try; after the last one it is ended."""
HEALTHY_SECONDS = 600.0
"""Who worked so long before it failed has all its tries again."""
STOP_SECONDS = 60.0
REASON_CHARACTERS = 300


class Member:
    """A researcher.

    Attributes:
        actor: its Ray actor; None while it waits to be tried again, and once it has ended alone.
        call: its `run`, while that is under way.
    """

    def __init__(self, start: Callable[[], Any], note: Callable[[str], None]) -> None:
        """`start` starts its actor; `note` records what becomes of it."""
        self._start, self._note = start, note
        self._failures, self._began = 0, 0.0
        self._again: float | None = time.monotonic()
        self.actor: Any = None
        self.call: Any = None

    @property
    def is_done(self) -> bool:
        """Will nothing more come of it?"""
        return self.call is None and self._again is None

    def attend(self, *, stopping: bool) -> None:
        """Let it begin, or begin again, when it is time to; note how it ended, if it has.

        Args:
            stopping: it is to begin nothing further, and to attend alone to what it has begun.

        Raises:
            StorageError, ComputeError, CampaignError: something that everybody needs is gone.
        """
        try:
            if self.call is not None and ray.wait([self.call], timeout=0)[0]:
                call, self.call = self.call, None
                result(call)
            elif self._again is not None and time.monotonic() >= self._again:
                self._again = None
                self._begin(stopping)
        except PLATFORM_ERRORS:
            raise
        except Exception as error:
            self._failed(error)

    def _begin(self, stopping: bool) -> None:
        self._began = time.monotonic()
        self.actor = self._start()
        if stopping:
            ray.wait([self.actor.stop.remote()], timeout=STOP_SECONDS)
        self.call = self.actor.run.remote()

    def _failed(self, error: Exception) -> None:
        if self.actor is not None:
            ray.kill(self.actor)  # the next try begins with a new process
            self.actor = None
        if time.monotonic() - self._began > HEALTHY_SECONDS:
            self._failures = 0
        reason = _reason(error)
        if self._failures == len(WAITS):
            self._note(f"failed: {reason}")
            return
        seconds = WAITS[self._failures]
        self._failures += 1
        self._again = time.monotonic() + seconds
        self._note(f"failed, and is tried again after {seconds:.0f} s: {reason}")


def _reason(error: Exception) -> str:
    """What happened, on one bounded and printable line. What Ray says of an error has that at its end."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    try:
        said = [line.strip() for line in str(cause).splitlines() if line.strip()]
    except Exception:  # an exception that a researcher's code made may fail to say what it is
        said = []
    words = (said[-1] if isinstance(cause, RayError) else " ".join(said)) if said else "it says nothing"
    return fitted_line(f"{type(cause).__name__}: {words}", REASON_CHARACTERS)
