"""Performance gap recovered, and how uncertain it is.

    PGR = (transfer_acc - weak_acc) / (ceiling_acc - weak_acc)            Burns et al. 2023, arXiv 2312.09390, eq. 1

The interval is a percentile bootstrap over test items, shared by all models because they answered the same items, and
over seeds. Models that ran on the same seeds are paired: a student learned from the teacher of its own seed, so the two
are drawn together; otherwise the seeds of teacher, ceiling and student are drawn each for itself. Few seeds scatter too
little when drawn again with replacement, by (s - 1) / s in variance; the draws are widened by that factor.

Not covered: with one seed its scatter is unknown, and the interval then holds for that seed alone; with two or three
seeds it is still too narrow; choosing the best of many candidates is not corrected for.
"""

from dataclasses import dataclass

import numpy as np

DRAWS = 4000
LEVEL = 0.95


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


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


def performance_gap_recovered(transfer_acc: float, weak_acc: float, ceiling_acc: float) -> float:
    """PGR; NaN where ceiling and teacher are equal, because there is no gap to recover."""
    gap = ceiling_acc - weak_acc
    return (transfer_acc - weak_acc) / gap if gap else float("nan")


def pgr_estimate(student: Correctness, weak: Correctness, ceiling: Correctness, seed: int = 0) -> Estimate:
    """PGR with its interval, on one test set. Raises ValueError unless all three answered as many items."""
    rng = np.random.default_rng(seed)
    counts = _item_draws(rng, student, weak, ceiling)
    paired = _SeedDraws(rng)
    student_acc, weak_acc, ceiling_acc = (_accuracy_draws(one, counts, paired) for one in (student, weak, ceiling))
    gap = ceiling_acc - weak_acc
    draws = np.divide(student_acc - weak_acc, gap, out=np.full(DRAWS, np.nan), where=gap != 0)
    value = performance_gap_recovered(student.accuracy, weak.accuracy, ceiling.accuracy)
    return _estimate(value, draws)


def accuracy_estimate(one: Correctness, seed: int = 0) -> Estimate:
    """Accuracy with its interval."""
    rng = np.random.default_rng(seed)
    return _estimate(one.accuracy, _accuracy_draws(one, _item_draws(rng, one), _SeedDraws(rng)))


def difference_estimate(student: Correctness, reference: Correctness, seed: int = 0) -> Estimate:
    """Accuracy of the student minus that of a reference on the same items, with its interval."""
    rng = np.random.default_rng(seed)
    counts = _item_draws(rng, student, reference)
    paired = _SeedDraws(rng)
    draws = _accuracy_draws(student, counts, paired) - _accuracy_draws(reference, counts, paired)
    return _estimate(student.accuracy - reference.accuracy, draws)


def _item_draws(rng: np.random.Generator, *models: Correctness) -> np.ndarray:
    """(draws, items) how often each item was drawn."""
    sizes = {model.by_seed.shape[1] for model in models}
    if len(sizes) != 1:
        raise ValueError(f"models answered different numbers of items: {sorted(sizes)}")
    items = sizes.pop()
    return rng.multinomial(items, np.full(items, 1 / items), size=DRAWS).astype(np.float32)


class _SeedDraws:
    """How often each seed is drawn: the same draws for all models that ran on the same seeds."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._known: dict[tuple[int, ...], np.ndarray] = {}

    def shares(self, model: Correctness) -> np.ndarray:
        """(draws, seeds) share of each row of `model` in its mean, rows in the model's order."""
        count, seeds = len(model.by_seed), tuple(sorted(model.seeds))
        drawn = self._known.get(seeds) if seeds else None
        if drawn is None:
            drawn = self._rng.multinomial(count, np.full(count, 1 / count), size=DRAWS) / count
            self._known[seeds] = drawn
        return drawn[:, [seeds.index(seed) for seed in model.seeds]] if seeds else drawn


def _accuracy_draws(model: Correctness, counts: np.ndarray, seed_draws: _SeedDraws) -> np.ndarray:
    """(draws,) mean accuracy over drawn items and drawn seeds."""
    seeds, items = model.by_seed.shape
    by_seed = counts @ model.by_seed.T.astype(np.float32) / items
    mean = by_seed.mean(axis=1)
    if seeds == 1:
        return np.asarray(mean, np.float64)
    drawn = seed_draws.shares(model)
    widening = np.sqrt(seeds / (seeds - 1))
    return np.asarray(mean + widening * ((by_seed * drawn).sum(axis=1) - mean), np.float64)


def _estimate(value: float, draws: np.ndarray) -> Estimate:
    low, high = np.nanquantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))
