"""How far the baselines are, for the minutes in which a campaign has nothing else to show."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.exceptions import RayError

from aar.config import CampaignConfig

QUIET_SECONDS = 30.0
"""After as long without a fit, what waits at the compute actor is reported: it starts workers, or loads models."""


class BaselineProgress:
    """Reports each fit of the baselines that is done, and how long the others will take.

    The ceiling and vanilla are a fit for each seed and dataset; so is the teacher, unless it is an encoder.
    """

    def __init__(self, config: CampaignConfig, compute: Any, report: Callable[[str], None]) -> None:
        self._compute, self._report = compute, report
        models = 3 if config.problem.teacher.kind == "causal_lm" else 2
        self._fits = models * config.scoring.baseline_seeds * len(config.problem.research)
        self._seen: list[tuple[float, int]] = []
        self._began = self._said = time.monotonic()

    def follow(self) -> None:
        """Ask the compute actor, and report if more fits are done than before, or if nothing was for a while."""
        try:
            asked = [self._compute.fits_given.remote(), self._compute.status.remote()]
            done, status = ray.get(asked, timeout=5)
        except RayError:  # it is being restarted
            return
        now = time.monotonic()
        if done > (self._seen[-1][1] if self._seen else 0):
            self._seen.append((now, done))
            self._say(progress_text(self._seen, self._fits))
        elif now - self._said > QUIET_SECONDS:
            waiting, running = status["waiting"], status["running"]
            done_text, seconds = progress_text(self._seen, self._fits), now - self._began
            self._say(f"{done_text}; after {seconds:.0f} s, {waiting} requests wait and {running} run")

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        self._report(text)


def progress_text(seen: Sequence[tuple[float, int]], fits: int) -> str:
    """Return how far the baselines are.

    Args:
        seen: moments in seconds and how many fits were done then, oldest first. The time before the first of them is
            not counted: the workers were started in it.
        fits: how many there are.
    """
    if not seen:
        return f"baselines: 0 of {fits} fits done"
    (first, before), (last, done) = seen[0], seen[-1]
    if done >= fits:
        return f"baselines: {fits} of {fits} fits done, predictions are left"
    pace = (last - first) / (done - before) if done > before else None
    left = f", about {pace * (fits - done):.0f} s left" if pace else ""
    return f"baselines: {done} of {fits} fits done{left}"
