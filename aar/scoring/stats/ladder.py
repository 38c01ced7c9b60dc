"""The Ladder: decides which scores of submissions are released to researchers.

A score is released only when it beats the researcher's best by a statistically significant step, and then rounded. The
answer to any other submission is "no significant improvement". So k submissions reveal O(log k) bits of the hidden
labels instead of k numbers (Blum & Hardt 2015, arXiv 1502.04585; their parameter-free Ladder, with a level in place of
one standard error). Significance is paired over test items. The t-th submission of a whole campaign is tested at level
`level / t`. So the test gets stricter with each submission, under however many identities, and the expected number of
lucky releases stays below level * (1 + ln t).

Not protected: the effect of a lucky seed. Significance is over items only, because the Ladder protects the test set;
verification, with fresh seeds, protects the reader.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class ItemScores:
    """A submission's correctness on one test set: `by_item` (items,) mean over seeds, 0 to 1.

    `weight`: the amount that one unit of accuracy on this test set adds to the score.
    """

    by_item: np.ndarray
    weight: float = 1.0


@dataclass(frozen=True)
class Ladder:
    """`step`: the least improvement that is released, and the unit of rounding. `level`: of the first test."""

    step: float
    level: float = 0.05

    def improves(self, new: Sequence[ItemScores], best: Sequence[ItemScores], submission: int) -> bool:
        """True if `new` is significantly better than `best`, by at least a step.

        Args:
            new, best: one entry per test set, in the same order.
            submission: 1-based index of this submission within the campaign.

        Raises:
            ValueError: the two answered different items.
        """
        gain, error = paired_gain(new, best)
        threshold = float(stats.norm.ppf(1 - self.level / max(1, submission))) * error
        return gain >= self.step and gain > threshold

    def rounded(self, value: float) -> float:
        """Return the nearest multiple of the step."""
        return round(round(value / self.step) * self.step, 10)


def paired_gain(new: Sequence[ItemScores], best: Sequence[ItemScores]) -> tuple[float, float]:
    """Return the lead of `new` over `best`, and its standard error over items."""
    gain, variance = 0.0, 0.0
    for ours, theirs in zip(new, best, strict=True):
        if ours.by_item.shape != theirs.by_item.shape:
            raise ValueError(f"{ours.by_item.size} items were answered, the best submission has {theirs.by_item.size}")
        paired = ours.weight * (ours.by_item - theirs.by_item)
        gain += float(paired.mean())
        variance += float(paired.var(ddof=1)) / paired.size
    return gain, float(np.sqrt(variance))
