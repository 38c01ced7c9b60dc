"""Which seeds things run on. Only the scorer draws them."""

import secrets

import numpy as np

from aar.config import CampaignConfig
from aar.scoring.records import PLATFORM
from aar.scoring.scorebook import Scorebook

RANGE = 1 << 20
KEPT_FRESH = 64
KEY = "seeds/verification"


def research_seeds(config: CampaignConfig) -> tuple[int, ...]:
    """The baselines' seeds, the same in every campaign on the problem. Experiments run on the first of them.

    All run on the same ones, so that a difference between two experiments is not one of seeds, and handing in a method
    again gives no other draw.
    """
    drawn = np.random.default_rng([config.problem.dataset().seed, 1]).choice(
        RANGE, config.scoring.baseline_seeds, replace=False
    )
    return tuple(int(seed) for seed in drawn)


def verification_seeds(config: CampaignConfig, book: Scorebook, count: int) -> tuple[int, ...]:
    """`count` seeds that no research experiment ran on, drawn once per campaign by the system's generator."""
    known = next((entry.body["seeds"] for entry in book.ledger() if entry.key == KEY), None)
    if known is None:
        used = set(research_seeds(config))
        drawn = secrets.SystemRandom().sample(range(RANGE), KEPT_FRESH + len(used))
        fresh = [seed for seed in drawn if seed not in used][:KEPT_FRESH]
        known = book.note("seeds", PLATFORM, KEY, {"seeds": fresh}).body["seeds"]
    return tuple(known[:count])
