"""Submissions that differ from one another in a few predictions: how labels are read out of a scorer one by one."""

from collections.abc import Mapping

import numpy as np

from aar.scoring.audit.findings import Finding

NEAR_SHARE = 0.005
NEAR_LEAST = 3
PAIRS = 3
"""So many pairs make a pattern: two methods may come close once by chance."""


def probing(researcher: str, answers: Mapping[str, np.ndarray]) -> list[Finding]:
    """Near-identical submissions of one researcher.

    Args:
        answers: (items,) or (seeds, items) bool by experiment, oldest first: where each was right. Two submissions are
            right in the same places exactly where they predict the same.
    """
    names = list(answers)
    near = []
    for at, one in enumerate(names):
        for other in names[at + 1 :]:
            distance = _distance(answers[one], answers[other])
            if distance is not None and 0 < distance <= max(NEAR_LEAST, NEAR_SHARE * answers[one].size):
                near.append((one, other, distance))
    if len(near) < PAIRS:
        return []
    pairs = "; ".join(f"{one} and {other} differ in {distance} predictions" for one, other, distance in near[:20])
    words = f"{len(near)} pairs of submissions differ in a few predictions, as when labels are read out one by one"
    involved = {name for one, other, _ in near for name in (one, other)}
    rows = tuple(name for name in names if name in involved)
    return [Finding("probing", "suspicion", researcher, rows, words, pairs)]


def _distance(one: np.ndarray, other: np.ndarray) -> int | None:
    """In how many predictions two submissions differ; None when they answered different things."""
    return int((one != other).sum()) if one.shape == other.shape else None
