"""Performance gap recovered, and how uncertain it is.

    PGR = (transfer_acc - weak_acc) / (ceiling_acc - weak_acc)            Burns et al. 2023, arXiv 2312.09390, eq. 1

The interval is Fieller's (1954): all ratios t for which (transfer - weak) - t (ceiling - weak) is not shown to differ
from 0. It includes the sampling of test items, shared by all models because they answered the same items, and the
seeds of student, teacher and ceiling. A student learned from the teacher of its own seed, so models that ran on the
same seeds are paired; others are independent.

Not covered: with one seed, the scatter over seeds is unknown, and the interval holds for that seed only. Choosing the
best of many candidates is not corrected for (that is the purpose of the sealed split).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aar.scoring.stats.uncertainty import Estimate, MeanEstimate, VarianceComponent, added, moments

STEPS = 60
"""The most iterations until Fieller's ends converge."""


@dataclass(frozen=True)
class Correctness:
    """The correctness of a model: `by_seed` is (seeds, items) bool, prediction equals ground truth.

    `seeds` are the seeds of the rows. Empty: they are unknown, and the model is never paired with another.
    """

    by_seed: np.ndarray
    seeds: tuple[int, ...] = ()

    @property
    def accuracies(self) -> tuple[float, ...]:
        """Accuracy of each seed."""
        return tuple(float(value) for value in self.by_seed.mean(axis=1))

    @property
    def accuracy(self) -> float:
        """Mean over seeds and items."""
        return float(self.by_seed.mean())

    def on(self, seeds: Sequence[int]) -> "Correctness":
        """Return the rows of these seeds, in this order. Raises ValueError when one was not run."""
        missing = set(seeds) - set(self.seeds)
        if missing:
            raise ValueError(f"there are no answers for the seeds {sorted(missing)}")
        return Correctness(self.by_seed[[self.seeds.index(seed) for seed in seeds]], tuple(seeds))


@dataclass(frozen=True)
class Gap:
    """A student between its teacher and its ceiling, on one test set."""

    student: Correctness
    weak: Correctness
    ceiling: Correctness

    @property
    def pgr(self) -> float:
        """The student's PGR."""
        return performance_gap_recovered(self.student.accuracy, self.weak.accuracy, self.ceiling.accuracy)

    @property
    def size(self) -> float:
        """The ceiling's accuracy above the teacher's."""
        return self.ceiling.accuracy - self.weak.accuracy


def performance_gap_recovered(transfer_acc: float, weak_acc: float, ceiling_acc: float) -> float:
    """Return the PGR; NaN where ceiling and teacher are equal, because there is no gap to recover."""
    gap = ceiling_acc - weak_acc
    return (transfer_acc - weak_acc) / gap if gap else float("nan")


def pgr_estimate(gap: Gap) -> Estimate:
    """Estimate PGR with its interval on one test set; unbounded where the gap itself is not shown to differ from 0.

    Raises ValueError unless all three models answered the same number of items.
    """
    width = _contrast((gap.weak, -1.0), (gap.ceiling, 1.0))
    if width.half_width() >= abs(width.mean):
        return Estimate(gap.pgr, -np.inf, np.inf)
    return Estimate(gap.pgr, *sorted(_fieller_end(gap, side) for side in (-1, 1)))


def _fieller_end(gap: Gap, side: int) -> float:
    """Find the ratio at which the student's lead is one half-width from 0, by fixed-point iteration."""
    end = gap.pgr
    for _ in range(STEPS):
        before, end = end, gap.pgr + side * _lead(gap, end).half_width() / gap.size
        if abs(end - before) < 1e-9:
            break
    return end


def _lead(gap: Gap, ratio: float) -> MeanEstimate:
    """Return the student's lead over the point that divides the gap in this ratio."""
    return _contrast((gap.student, 1.0), (gap.weak, ratio - 1), (gap.ceiling, -ratio))


def mean_pgr_estimate(gaps: Sequence[Gap]) -> Estimate:
    """Estimate the mean PGR over datasets with its interval; for one dataset, as `pgr_estimate`."""
    if len(gaps) == 1:
        return pgr_estimate(gaps[0])
    parts = [_lead(gap, gap.pgr) / (gap.size * len(gaps)) for gap in gaps]
    mean = float(np.mean([gap.pgr for gap in gaps]))
    reach = added(parts).half_width()
    return Estimate(mean, mean - reach, mean + reach)


def accuracy_estimate(model: Correctness) -> Estimate:
    """Estimate accuracy with its interval."""
    return _contrast((model, 1.0)).estimate()


def difference(student: Correctness, reference: Correctness) -> MeanEstimate:
    """Estimate a student's accuracy minus a reference's on the same items, paired on the seeds they share."""
    return _contrast((student, 1.0), (reference, -1.0))


def mean_difference(pairs: Sequence[tuple[Correctness, Correctness]], sizes: Sequence[float]) -> MeanEstimate:
    """Estimate the mean over datasets of a student's lead over a reference, in PGR: accuracy by the size of the gap."""
    return added(
        difference(student, reference) / (size * len(sizes))
        for (student, reference), size in zip(pairs, sizes, strict=True)
    )


def _contrast(*weighted: tuple[Correctness, float]) -> MeanEstimate:
    """Estimate a weighted sum of accuracies. Models that ran on the same seeds become one term."""
    terms: dict[tuple[int, ...] | int, np.ndarray] = {}
    for number, (model, weight) in enumerate(weighted):
        ordered = tuple(sorted(model.seeds))
        rows = model.on(ordered).by_seed if ordered else model.by_seed
        key = ordered or number
        terms[key] = terms[key] + weight * rows if key in terms else weight * rows.astype(float)
    return moments(*terms.values())


def by_summary(accuracies: Mapping[str, Sequence[float]], weights: Mapping[str, float], items: int) -> MeanEstimate:
    """Estimate a weighted sum of models' mean accuracies from each seed's accuracy, without correctness by item.

    The models' errors cannot be paired by item then, so they are taken as independent. The item part is an upper bound,
    because models are mostly right on the same items. Seeds are taken as independent too.
    """
    means = {name: float(np.mean(accuracies[name])) for name in weights}
    several = [name for name in weights if len(accuracies[name]) > 1]
    return MeanEstimate(
        mean=sum(weight * means[name] for name, weight in weights.items()),
        items=tuple(
            VarianceComponent(weight**2 * means[name] * (1 - means[name]) / items, items - 1)
            for name, weight in weights.items()
        ),
        seeds=tuple(
            VarianceComponent(
                weights[name] ** 2 * float(np.var(accuracies[name], ddof=1)) / len(accuracies[name]),
                len(accuracies[name]) - 1,
            )
            for name in several
        ),
    )


def optimism(on_dev: Sequence[Gap], on_sealed: Sequence[Gap]) -> Estimate:
    """Estimate how much higher the mean PGR is on dev, where a method was chosen, than on sealed.

    The datasets are in the same order. Items and seeds differ between the two, so their errors are added.
    """
    parts = [_lead(gap, gap.pgr) / (gap.size * len(gaps)) for gaps in (on_dev, on_sealed) for gap in gaps]
    higher = float(np.mean([gap.pgr for gap in on_dev]) - np.mean([gap.pgr for gap in on_sealed]))
    reach = added(parts).half_width()
    return Estimate(higher, higher - reach, higher + reach)
