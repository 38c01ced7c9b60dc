"""What the scorer keeps and hands out. Data only."""

from dataclasses import dataclass
from typing import Literal

from aar.scoring.pgr import Estimate

Status = Literal["running", "scored", "failed"]
PLATFORM = "platform"
"""The author of reference experiments, which no researcher pays for."""
HIDDEN = "hidden"
"""The name of the test set that experiments are scored on."""
VANILLA = "vanilla"
"""The reference method: train on the teacher's hard labels."""


@dataclass(frozen=True)
class Score:
    """What the scorer computed for an experiment: means over seeds on the hidden test set, with 95 % intervals."""

    accuracy: float
    accuracies: tuple[float, ...]
    pgr: float
    pgr_low: float
    pgr_high: float


@dataclass(frozen=True)
class Experiment:
    """One method (a snapshot) run on one dataset with the scorer's seeds. Times are seconds since the epoch."""

    id: str
    researcher: str
    snapshot: str
    dataset: str
    note: str
    seeds: tuple[int, ...]
    status: Status
    score: Score | None
    failure: str | None
    started: float
    ended: float | None


@dataclass(frozen=True)
class Baselines:
    """The fixed ends of the gap on one dataset: mean accuracies over `seeds`, with intervals."""

    dataset: str
    seeds: tuple[int, ...]
    weak: Estimate
    ceiling: Estimate
    test_items: int


@dataclass(frozen=True)
class Retest:
    """An experiment's students on a test set drawn anew, and their advantage over vanilla's on the same items."""

    experiment: str
    test_seed: int
    accuracy: Estimate
    pgr: Estimate
    over_vanilla: Estimate | None
    items: int
