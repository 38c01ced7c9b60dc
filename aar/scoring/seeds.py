"""Which seeds things run on. Only the scorer draws them."""

import secrets

from aar.config import CampaignConfig
from aar.problems.key import Key
from aar.scoring.records import PLATFORM
from aar.scoring.store import ScoreStore

RANGE = 1 << 20
KEPT_FRESH = 64
DRAWN_ONCE = "seeds/verification"


def research_seeds(config: CampaignConfig, key: Key) -> tuple[int, ...]:
    """The baselines' seeds, drawn by the campaign's key. Experiments run on the first of them.

    All run on the same ones, so that a difference between two experiments is not one of seeds, and handing in a method
    again gives no other draw.
    """
    stream = key.stream("research seeds")
    drawn: dict[int, None] = {}
    while len(drawn) < config.scoring.baseline_seeds:
        drawn[int(stream.random() * RANGE)] = None
    return tuple(drawn)


def verification_seeds(config: CampaignConfig, book: ScoreStore, count: int) -> tuple[int, ...]:
    """`count` seeds that no research experiment ran on, drawn once per campaign by the system's generator."""
    drawing = book.ledger_entry(DRAWN_ONCE)
    if drawing is None:
        used = set(research_seeds(config, book.key()))
        drawn = secrets.SystemRandom().sample(range(RANGE), KEPT_FRESH + len(used))
        fresh = [seed for seed in drawn if seed not in used][:KEPT_FRESH]
        drawing = book.note("seeds", PLATFORM, DRAWN_ONCE, {"seeds": fresh})
    return tuple(drawing.body["seeds"][:count])
