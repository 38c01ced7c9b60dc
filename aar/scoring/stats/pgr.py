"""Performance gap recovered, and how uncertain it is.

    PGR = (transfer_acc - weak_acc) / (ceiling_acc - weak_acc)            Burns et al. 2023, arXiv 2312.09390, eq. 1

The interval is Fieller's (1954): all ratios t for which (transfer - weak) - t (ceiling - weak) is not shown to differ
from 0. It carries the sampling of test items, shared by all models because they answered the same items, and the seeds
of student, teacher and ceiling. A student learned from the teacher of its own seed, so models that ran on the same
seeds are paired; others are independent.

Not covered: with one seed its scatter is unknown, and the interval then holds for that seed alone; choosing the best of
many candidates is not corrected for (that is what the sealed split is for).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aar.scoring.stats.uncertainty import Estimate, MeanEstimate, VarianceComponent, added, moments

STEPS = 60
"""Halvings or so until Fieller's ends stand still."""


@dataclass(frozen=True)
class Correctness:
    """Who was right: `by_seed` is (seeds, items) bool, prediction equals ground truth.

    `seeds` says which seed each row is; empty: not known, and then never paired with another model's.
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
        """The rows of these seeds, in this order. Raises ValueError when one was not run."""
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
    """PGR; NaN where ceiling and teacher are equal, because there is no gap to recover."""
    gap = ceiling_acc - weak_acc
    return (transfer_acc - weak_acc) / gap if gap else float("nan")


def pgr_estimate(gap: Gap) -> Estimate:
    """PGR with its interval, on one test set; unbounded where the gap itself is not shown to differ from 0.

    Raises ValueError unless all three answered the same number of items.
    """
    width = _contrast((gap.weak, -1.0), (gap.ceiling, 1.0))
    if width.half_width() >= abs(width.mean):
        return Estimate(gap.pgr, -np.inf, np.inf)
    return Estimate(gap.pgr, *sorted(_fieller_end(gap, side) for side in (-1, 1)))


def _fieller_end(gap: Gap, side: int) -> float:
    """The ratio at which the student's lead is one half-width from 0, by fixed-point iteration."""
    end = gap.pgr
    for _ in range(STEPS):
        before, end = end, gap.pgr + side * _lead(gap, end).half_width() / gap.size
        if abs(end - before) < 1e-9:
            break
    return end


def _lead(gap: Gap, ratio: float) -> MeanEstimate:
    """How far the student is above the point that divides the gap in this ratio."""
    return _contrast((gap.student, 1.0), (gap.weak, ratio - 1), (gap.ceiling, -ratio))


def mean_pgr_estimate(gaps: Sequence[Gap]) -> Estimate:
    """The mean PGR over datasets with its interval; of one dataset, `pgr_estimate`."""
    if len(gaps) == 1:
        return pgr_estimate(gaps[0])
    parts = [_lead(gap, gap.pgr) / (gap.size * len(gaps)) for gap in gaps]
    mean = float(np.mean([gap.pgr for gap in gaps]))
    reach = added(parts).half_width()
    return Estimate(mean, mean - reach, mean + reach)


def accuracy_estimate(one: Correctness) -> Estimate:
    """Accuracy with its interval."""
    return _contrast((one, 1.0)).estimate()


def difference(student: Correctness, reference: Correctness) -> MeanEstimate:
    """Accuracy of the student minus that of a reference on the same items, paired on the seeds they share."""
    return _contrast((student, 1.0), (reference, -1.0))


def mean_difference(pairs: Sequence[tuple[Correctness, Correctness]], sizes: Sequence[float]) -> MeanEstimate:
    """The mean over datasets of a student's lead over a reference, in PGR: accuracy by the size of the gap."""
    return added(
        difference(student, reference) / (size * len(sizes))
        for (student, reference), size in zip(pairs, sizes, strict=True)
    )


def _contrast(*weighted: tuple[Correctness, float]) -> MeanEstimate:
    """Of the weighted sum of accuracies. Models that ran on the same seeds become one term."""
    terms: dict[tuple[int, ...] | int, np.ndarray] = {}
    for number, (model, weight) in enumerate(weighted):
        ordered = tuple(sorted(model.seeds))
        rows = model.on(ordered).by_seed if ordered else model.by_seed
        key = ordered or number
        terms[key] = terms[key] + weight * rows if key in terms else weight * rows.astype(float)
    return moments(*terms.values())


def by_summary(accuracies: Mapping[str, Sequence[float]], weights: Mapping[str, float], items: int) -> MeanEstimate:
    """Of a weighted sum of models' mean accuracies where only each seed's accuracy is known, not who was right where.

    Without the answers the models' errors cannot be paired by item, so they are taken as independent: the item part is
    then an upper bound, because models are mostly right on the same items. Seeds are taken as independent too.
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
    """How much higher the mean PGR is on dev, where a method was chosen, than on sealed; datasets in the same order.

    Items and seeds differ between the two, so that their errors are added.
    """
    parts = [_lead(gap, gap.pgr) / (gap.size * len(gaps)) for gaps in (on_dev, on_sealed) for gap in gaps]
    higher = float(np.mean([gap.pgr for gap in on_dev]) - np.mean([gap.pgr for gap in on_sealed]))
    reach = added(parts).half_width()
    return Estimate(higher, higher - reach, higher + reach)
