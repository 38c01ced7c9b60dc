"""The Ladder: how a researcher hears about a submission.

A score is released only when it beats the researcher's best by a statistically significant step, and then rounded;
anything else is answered with "no significant improvement". So k submissions reveal O(log k) bits of the hidden labels
instead of k numbers (Blum & Hardt 2015, arXiv 1502.04585; their parameter-free Ladder, with a level in place of one
standard error). Significance is paired over test items. The t-th submission of a whole campaign is tested at level
`level / t`: the more a test set was asked, by whatever number of identities, the stricter it gets, and the expected
number of releases that are luck stays below level * (1 + ln t).

Not protected: what a lucky seed adds. The significance is over items alone, because the Ladder protects the test set;
verification, with fresh seeds, protects the reader.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class ItemScores:
    """One test set's items as a submission got them right: `by_item` (items,) mean over seeds, 0 to 1.

    `worth`: what one unit of accuracy on this test set adds to the score.
    """

    by_item: np.ndarray
    worth: float = 1.0


@dataclass(frozen=True)
class Ladder:
    """`step`: the least improvement that is told, and what scores are rounded to. `level`: of the first test."""

    step: float
    level: float = 0.05

    def improves(self, new: Sequence[ItemScores], best: Sequence[ItemScores], submission: int) -> bool:
        """Is `new` significantly better than `best`, by at least a step?

        Args:
            new, best: one entry per test set, in the same order.
            submission: the how-manieth of the campaign this is, from 1.

        Raises:
            ValueError: the two answered different items.
        """
        gain, error = paired_gain(new, best)
        threshold = float(stats.norm.ppf(1 - self.level / max(1, submission))) * error
        return gain >= self.step and gain > threshold

    def rounded(self, value: float) -> float:
        """The nearest multiple of the step."""
        return round(round(value / self.step) * self.step, 10)


def paired_gain(new: Sequence[ItemScores], best: Sequence[ItemScores]) -> tuple[float, float]:
    """How much better `new` is than `best`, and the standard error of that over items."""
    gain, variance = 0.0, 0.0
    for one, other in zip(new, best, strict=True):
        if one.by_item.shape != other.by_item.shape:
            raise ValueError(f"{one.by_item.size} items were answered, the best submission has {other.by_item.size}")
        paired = one.worth * (one.by_item - other.by_item)
        gain += float(paired.mean())
        variance += float(paired.var(ddof=1)) / paired.size
    return gain, float(np.sqrt(variance))
