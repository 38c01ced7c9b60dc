"""Correction for looking more than once."""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: below 0.05 for all that Holm's procedure rejects at that level.

    Holm 1979, "A simple sequentially rejective multiple test procedure". Valid whatever the tests' dependence.
    """
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = running
    return adjusted


def bonferroni(p_value: float, looks: int) -> float:
    """The p-value, corrected for the number of looks of which this was the best."""
    return min(1.0, p_value * max(1, looks))
