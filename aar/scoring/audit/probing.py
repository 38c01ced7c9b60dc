"""Submissions that differ from one another in a few predictions: a way to read labels out of a scorer one by one."""

import itertools
from collections.abc import Mapping

import numpy as np

from aar.scoring.audit import Finding

NEAR_SHARE = 0.005
NEAR_LEAST = 3
PAIRS = 3
"""The number of pairs that make a pattern: two methods may come close once by chance."""


def probing(researcher: str, answers: Mapping[str, np.ndarray]) -> list[Finding]:
    """Find near-identical submissions of one researcher.

    Args:
        answers: (items,) or (seeds, items) bool by experiment, oldest first: the correctness of each item. Labels are
            binary, so two submissions differ in correctness exactly where they differ in their predictions.
    """
    near = []
    for first, second in itertools.combinations(answers, 2):
        distance = _distance(answers[first], answers[second])
        if distance is not None and 0 < distance <= max(NEAR_LEAST, NEAR_SHARE * answers[first].size):
            near.append((first, second, distance))
    if len(near) < PAIRS:
        return []
    pairs = "; ".join(f"{first} and {second} differ in {distance} predictions" for first, second, distance in near[:20])
    words = f"{len(near)} pairs of submissions differ in a few predictions, as when labels are read out one by one"
    involved = {name for first, second, _ in near for name in (first, second)}
    rows = tuple(name for name in answers if name in involved)
    return [Finding("probing", "suspicion", researcher, rows, words, pairs)]


def _distance(first: np.ndarray, second: np.ndarray) -> int | None:
    """Count the predictions in which two submissions differ; None when they answered different items."""
    return int((first != second).sum()) if first.shape == second.shape else None
