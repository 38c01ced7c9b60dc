"""The uncertainty of a sum of accuracies, when students of several seeds answered the same test items.

Items are a sample of all items, and seeds a sample of all seeds: a two-way layout without repetition, both random. An
array (seeds, items) is modelled as mean + seed effect + item effect + residual, and the variance of its mean has two
parts, which are estimated from mean squares (Searle, Casella & McCulloch 1992, "Variance Components", ch. 4):

    items:  var_item / items
    seeds:  var_seed / seeds + var_residual / (seeds * items), the variance of the seeds' mean

The quantity to estimate is given as terms: arrays whose means are added. All terms answered the same items. Models that
ran on the same seeds belong in one term, added seed by seed before, so that their shared effects cancel or add up.

The interval's half-width is the root of t² V of the items plus t² V of the seeds, each with Student's t for its own
degrees of freedom: the modified large-sample method (Graybill & Wang 1980; Burdick & Graybill 1992, ch. 3). Terms of
different seeds are combined as by Welch (1947). A percentile bootstrap over two or three seeds is far too narrow, and
one t with Satterthwaite's degrees of freedom for all parts is still somewhat too narrow; benchmarks/trust.py measures
coverage.

Not covered: with one seed, the scatter over seeds is unknown, and the interval holds for this seed only.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

LEVEL = 0.95
SMALLEST_P = 1e-12
LEAST_ITEM_SHARE = 0.25
"""At least this share of the scatter between items counts as theirs. The residual is subtracted from it because the
scatter between seeds includes it, but two seeds may agree by luck, and then neither part would include the residual."""


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class VarianceComponent:
    """One estimated part of a variance, and the degrees of freedom of that estimate."""

    variance: float
    dof: int


@dataclass(frozen=True)
class MeanEstimate:
    """An estimated mean and the parts of its variance: from items, and from seeds."""

    mean: float
    items: tuple[VarianceComponent, ...]
    seeds: tuple[VarianceComponent, ...]

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return float(np.sqrt(sum(part.variance for part in self.items + self.seeds)))

    def half_width(self, level: float = LEVEL) -> float:
        """Return the half-width of the two-sided interval of this level."""
        return float(np.sqrt(_reach(self.items, level) ** 2 + _reach(self.seeds, level) ** 2))

    def p_value(self) -> float:
        """Return the two-sided p-value of a mean of 0: 1 minus the level at which the interval begins to include 0."""
        if self.error == 0:
            return float(self.mean == 0)
        if self.half_width(1 - SMALLEST_P) < abs(self.mean):
            return SMALLEST_P
        p_value: float = optimize.brentq(lambda p: self.half_width(1 - p) - abs(self.mean), SMALLEST_P, 1.0)
        return p_value

    def estimate(self) -> Estimate:
        """Return the mean with its interval."""
        reach = self.half_width()
        return Estimate(self.mean, self.mean - reach, self.mean + reach)

    def __truediv__(self, divisor: float) -> "MeanEstimate":
        def scaled(parts: tuple[VarianceComponent, ...]) -> tuple[VarianceComponent, ...]:
            return tuple(VarianceComponent(part.variance / divisor**2, part.dof) for part in parts)

        return MeanEstimate(self.mean / divisor, scaled(self.items), scaled(self.seeds))


def _reach(parts: tuple[VarianceComponent, ...], level: float) -> float:
    """Return t times the root of the summed variance, with Welch's degrees of freedom."""
    variance = sum(part.variance for part in parts)
    if variance == 0:
        return 0.0
    dof = 1 / sum((part.variance / variance) ** 2 / part.dof for part in parts)
    return float(stats.t.ppf(0.5 + level / 2, dof)) * math.sqrt(variance)


def moments(*terms: np.ndarray) -> MeanEstimate:
    """Estimate mean and variance of the sum of the terms' means.

    Args:
        terms: (seeds, items) each; seeds may differ, items are the same.

    Raises:
        ValueError: the terms answered different numbers of items, or fewer than two.
    """
    sizes = {term.shape[1] for term in terms}
    if len(sizes) != 1 or min(sizes) < 2:
        raise ValueError(f"models answered different numbers of items, or fewer than two: {sorted(sizes)}")
    items = sizes.pop()
    by_item = np.sum([term.mean(axis=0) for term in terms], axis=0)
    repeated = [term for term in terms if len(term) > 1]
    # The scatter between items includes a share of the residual, which the scatter between seeds also includes.
    shared = sum(_residual(term) / len(term) for term in repeated)
    scatter = float(by_item.var(ddof=1))
    item_part = VarianceComponent(max(scatter - shared, LEAST_ITEM_SHARE * scatter) / items, items - 1)
    seed_parts = tuple(
        VarianceComponent(float(term.mean(axis=1).var(ddof=1)) / len(term), len(term) - 1) for term in repeated
    )
    return MeanEstimate(float(by_item.mean()), (item_part,), seed_parts)


def _residual(term: np.ndarray) -> float:
    """Compute the residual mean square of a two-way layout without a second array of that size.

    The sum of squares around row and column means, expanded: total - rows - columns + grand mean.
    """
    seeds, items = term.shape
    between = items * (term.mean(axis=1) ** 2).sum() + seeds * (term.mean(axis=0) ** 2).sum()
    rest = float((term**2).sum() - between + seeds * items * term.mean() ** 2)
    mean_square: float = max(0.0, rest) / ((seeds - 1) * (items - 1))
    return mean_square


def added(independent: Iterable[MeanEstimate]) -> MeanEstimate:
    """Add independent estimates, such as those on different datasets."""
    estimates = list(independent)
    return MeanEstimate(
        mean=sum(estimate.mean for estimate in estimates),
        items=tuple(part for estimate in estimates for part in estimate.items),
        seeds=tuple(part for estimate in estimates for part in estimate.seeds),
    )
