"""What a running campaign reports beside its live view: how far its baselines are, and metrics of its whole record."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, get_args

import ray
from ray.exceptions import RayError

from aar import metrics
from aar.campaign.state import CampaignState
from aar.config import CampaignConfig
from aar.scoring.records import Status

QUIET_SECONDS = 30.0
"""After this long without a fit the compute actor's queue is reported; it may be starting workers or loading models."""


class BaselineProgress:
    """Reports each completed fit of the baselines, and how long the rest will take.

    Ceiling and vanilla need one fit for each seed and dataset; so does the teacher, unless it is an encoder.
    """

    def __init__(self, config: CampaignConfig, compute: Any, report: Callable[[str], None]) -> None:
        self._compute, self._report = compute, report
        models = 3 if config.problem.teacher.kind == "causal_lm" else 2
        self._fits = models * config.scoring.baseline_seeds * len(config.problem.research)
        self._seen: list[tuple[float, int]] = []
        self._began = self._reported = time.monotonic()

    def follow(self) -> None:
        """Report if more fits are done than before, or if nothing was reported for QUIET_SECONDS."""
        try:
            done, status = ray.get([self._compute.fits_given.remote(), self._compute.status.remote()], timeout=5)
        except RayError:  # it is being restarted
            return
        now = time.monotonic()
        if done > (self._seen[-1][1] if self._seen else 0):
            self._seen.append((now, done))
            self._report_now(progress_text(self._seen, self._fits))
        elif now - self._reported > QUIET_SECONDS:
            waiting, running = status["waiting"], status["running"]
            done_text, seconds = progress_text(self._seen, self._fits), now - self._began
            self._report_now(f"{done_text}; after {seconds:.0f} s, {waiting} requests wait and {running} run")

    def _report_now(self, text: str) -> None:
        self._reported = time.monotonic()
        self._report(text)


def progress_text(seen: Sequence[tuple[float, int]], fits: int) -> str:
    """Return how far the baselines are.

    Args:
        seen: times in seconds and the number of fits done then, oldest first. The time before the first one is not
            counted, because the workers were starting.
        fits: the number of all fits.
    """
    if not seen:
        return f"baselines: 0 of {fits} fits done"
    (first, before), (last, done) = seen[0], seen[-1]
    if done >= fits:
        return f"baselines: {fits} of {fits} fits done, predictions are left"
    pace = (last - first) / (done - before) if done > before else None
    left = f", about {pace * (fits - done):.0f} s left" if pace else ""
    return f"baselines: {done} of {fits} fits done{left}"


def export_metrics(state: CampaignState) -> None:
    """Export the number of experiments by status and each researcher's usage, including what earlier runs did."""
    by_status = Counter(experiment.status for experiment in state.experiments)
    for status in get_args(Status):
        metrics.EXPERIMENTS.set(by_status[status], status=status)
    for researcher in state.researchers:
        metrics.DOLLARS.set(researcher.spent.resources.dollars, researcher=researcher.name)
        for kind, tokens in vars(researcher.spent.tokens).items():
            metrics.TOKENS.set(tokens, researcher=researcher.name, kind=kind)
