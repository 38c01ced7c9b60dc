"""Can scores be trusted? Simulated campaigns at the quickstart's sizes: false discoveries, power, and coverage.

    python -m benchmarks.trust [CAMPAIGNS]

Students answer items by a latent ability: the task's, plus contributions of an item, a model on an item, a seed, and
chance. A student shares much of its seed's luck with vanilla of the same seed, because both learned from one teacher.
The contributions were set so that accuracies, and their spread over seeds, are like those of the quickstart; see
`World`.

* noise: every candidate is as good as vanilla. How often is the verified best declared better anyway?
* gain: one candidate recovers 0.2 more of the gap than vanilla. How often is it chosen on dev and confirmed on sealed?
* coverage: how often do the intervals of PGR and of the difference to vanilla contain the true value?

Selection, tests and intervals are aar's own; only the students are simulated. Takes two minutes or so.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from aar.config import CampaignConfig, load_config
from aar.scoring.stats.pgr import Correctness, Gap, difference, pgr_estimate
from aar.scoring.verification.verdicts import holm

QUICKSTART = Path(__file__).parents[1] / "jobs" / "quickstart.toml"
WEAK, VANILLA, CEILING = 0.70, 0.75, 0.885


@dataclass(frozen=True)
class World:
    """The variance of students' answers, in units of the chance that decides one answer.

    item: the spread of items' difficulty for all methods. item_by_method: its spread between methods. seed: standard
    deviation of accuracy over seeds. shared: correlation of two methods' luck on the same seed.
    """

    item: float = 1.5
    item_by_method: float = 0.8
    seed: float = 0.02
    shared: float = 0.7


@dataclass(frozen=True)
class Sizes:
    """The sizes of a campaign's measurements."""

    dev: int
    sealed: int
    baseline_seeds: int
    seeds: int
    verification_seeds: int
    candidates: int
    verified: int

    @classmethod
    def of(cls, config: CampaignConfig) -> "Sizes":
        """Return the sizes of a configuration."""
        test, scoring = config.problem.dataset().test or 0, config.scoring
        dev = round(scoring.dev_share * test)
        candidates = len(config.researchers) * config.budget.experiments_per_researcher
        return cls(
            dev, test - dev, scoring.baseline_seeds, scoring.seeds, config.verification.seeds, candidates,
            config.verification.best,
        )  # fmt: skip


class Items:
    """One part of a test set, and the students that answer it."""

    def __init__(self, world: World, items: int, rng: np.random.Generator) -> None:
        self._world, self._rng = world, rng
        self._common = rng.normal(size=items) * world.item

    def model(self, accuracy: float, luck: np.ndarray, seeds: tuple[int, ...]) -> Correctness:
        """Simulate a model of this expected accuracy that shares the seeds' `luck` (standard normal) with others."""
        world, rng = self._world, self._rng
        spread = np.sqrt(1 + world.item**2 + world.item_by_method**2)
        ability = stats.norm.ppf(accuracy)
        by_seed = world.seed / stats.norm.pdf(ability) * spread
        total = np.sqrt(spread**2 + by_seed**2)
        own_luck = np.sqrt(world.shared) * luck + np.sqrt(1 - world.shared) * rng.normal(size=len(luck))
        latent = ability * total + self._common + rng.normal(size=self._common.size) * world.item_by_method
        latent = latent[None] + by_seed * own_luck[:, None]
        return Correctness(latent + rng.normal(size=latent.shape) > 0, seeds)


def campaign(world: World, sizes: Sizes, gain: float, rng: np.random.Generator) -> bool:
    """True if a campaign finds a candidate better than vanilla: with a gain the better one, without a gain any."""
    accuracies = np.full(sizes.candidates, VANILLA)
    accuracies[0] += gain * (CEILING - WEAK)
    dev, seeds = Items(world, sizes.dev, rng), tuple(range(sizes.seeds))
    luck = rng.normal(size=sizes.seeds)
    chosen = np.argsort([-dev.model(accuracy, luck, seeds).accuracy for accuracy in accuracies])[: sizes.verified]
    sealed, fresh = Items(world, sizes.sealed, rng), tuple(range(100, 100 + sizes.verification_seeds))
    luck = rng.normal(size=sizes.verification_seeds)
    vanilla = sealed.model(VANILLA, luck, fresh)
    leads = [difference(sealed.model(accuracies[candidate], luck, fresh), vanilla) for candidate in chosen]
    better = [
        candidate for candidate, p, lead in zip(chosen, holm([lead.p_value() for lead in leads]), leads, strict=True)
        if p < 0.05 and lead.mean > 0
    ]  # fmt: skip
    return 0 in better if gain else bool(better)


def share_found(world: World, sizes: Sizes, gain: float, campaigns: int, seed: int = 0) -> float:
    """Return the share of simulated campaigns that find something."""
    outcomes = [campaign(world, sizes, gain, np.random.default_rng([seed, number])) for number in range(campaigns)]
    return float(np.mean(outcomes))


def coverage(world: World, sizes: Sizes, repeats: int, seed: int = 0) -> tuple[float, float]:
    """Return how often a verification's 95 % intervals of PGR and of the difference to vanilla contain the truth."""
    held = np.zeros(2)
    truth, method = (VANILLA + 0.08 - WEAK) / (CEILING - WEAK), VANILLA + 0.08
    for repeat in range(repeats):
        rng = np.random.default_rng([seed, repeat])
        items, luck = Items(world, sizes.sealed, rng), rng.normal(size=sizes.verification_seeds)
        fresh, research = tuple(range(100, 100 + len(luck))), tuple(range(sizes.baseline_seeds))
        weak, vanilla, student = (items.model(accuracy, luck, fresh) for accuracy in (WEAK, VANILLA, method))
        ceiling = items.model(CEILING, rng.normal(size=len(research)), research)
        pgr, lead = pgr_estimate(Gap(student, weak, ceiling)), difference(student, vanilla).estimate()
        held += (pgr.low <= truth <= pgr.high, lead.low <= method - VANILLA <= lead.high)
    return float(held[0] / repeats), float(held[1] / repeats)


def main(campaigns: int) -> None:
    """Measure and print."""
    sizes = Sizes.of(load_config(QUICKSTART))
    print(sizes)
    for seed in (0.0, 0.01, 0.02, 0.03):
        world = World(seed=seed)
        noise, gain = (share_found(world, sizes, gain, campaigns) for gain in (0.0, 0.2))
        pgr, lead = coverage(world, sizes, 5 * campaigns)
        print(
            f"accuracy scatters by {seed:.2f} over seeds: noise found {noise:.3f}, gain of 0.2 PGR found {gain:.3f}; "
            f"coverage of PGR {pgr:.3f}, of the difference {lead:.3f}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
