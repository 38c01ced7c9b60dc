"""States of a campaign, made by hand."""

from dataclasses import replace
from pathlib import Path

from aar.campaign.state import NOTHING, CampaignState, ResearcherState
from aar.commons.foreign import Foreign
from aar.config import PLATFORM
from aar.scoring.records import (
    VANILLA,
    Baselines,
    ControlResult,
    DatasetScore,
    DatasetVerification,
    Experiment,
    Score,
    Verification,
)
from aar.scoring.stats.uncertainty import Estimate

NOW = 2_000_000_000.0


def score(pgr: float) -> Score:
    accuracy = 0.7 + 0.27 * pgr
    return Score(accuracy, pgr, pgr - 0.1, pgr + 0.1, (DatasetScore("minimal-pairs", accuracy, pgr),))


def experiment(number: int, researcher: str, pgr: float | None = None, failure: str | None = None) -> Experiment:
    """Scored with `pgr`, failed with `failure`, or else running since 42 seconds. One ends each minute."""
    status = "running" if pgr is None and failure is None else "failed" if failure else "scored"
    ended = None if status == "running" else NOW - 3600 + 60 * number
    seeds = (1, 2, 3) if researcher == PLATFORM else (1, 2)
    return Experiment(
        id=f"e{number}",
        researcher=researcher,
        snapshot="a" * 40,
        datasets=("minimal-pairs",),
        note=Foreign(VANILLA if researcher == PLATFORM else f"method {number}, " + "with a long explanation " * 3),
        seeds=seeds,
        status=status,  # type: ignore[arg-type]
        score=None if pgr is None else score(pgr),
        failure=None if failure is None else Foreign(failure),
        started=NOW - 42 if ended is None else ended - 60,
        ended=ended,
    )


def researcher(name: str, direction: str, activity: str, experiments: int = 0) -> ResearcherState:
    """One that drives no language model."""
    return ResearcherState(name, "search", direction, activity, "working", experiments, 3, None, NOTHING, ())


BASELINES = Baselines(
    "minimal-pairs",
    (1, 2, 3),
    Estimate(0.7, 0.68, 0.72),
    Estimate(0.97, 0.96, 0.98),
    1000,
    *[Estimate(0.5, 0.45, 0.55)] * 2,
)
EMPTY = CampaignState(
    name="little",
    folder=Path("/nowhere/little"),
    running=True,
    protected=True,
    phase="research",
    seconds_used=251,
    seconds_budget=840,
    researchers=(researcher("researcher-1", "strong-prior", "reading the forum"),),
    experiments=(),
    spent=NOTHING,
    families={},
    diversity=(),
    baselines=(),
    verifications=(),
    protocol="weights",
    findings={},
    ledger_head="0" * 64,
)
MEASURED = replace(EMPTY, baselines=(BASELINES,), experiments=(experiment(1, PLATFORM, 0.4),))


def with_experiments(*experiments: Experiment) -> CampaignState:
    return replace(MEASURED, experiments=(*MEASURED.experiments, *experiments))


def crowded(researchers: int, experiments: int) -> CampaignState:
    """A campaign with many researchers, all of them busy, and many experiments that ended."""
    doing = "experiment 3: soft, " * 9
    people = tuple(
        replace(researcher(f"researcher-{number}", "unsupervised-elicitation", doing, 3), limit=30, best_pgr=0.5)
        for number in range(researchers)
    )
    done = [experiment(number, "researcher-1", number / 100) for number in range(2, experiments)]
    running = [experiment(1000 + number, one.name) for number, one in enumerate(people)]
    return replace(with_experiments(*done, *running), researchers=people)


def unimproved(number: int, researcher: str) -> Experiment:
    """Scored, and no significant improvement."""
    return replace(experiment(number, researcher, 0.3), score=None)


def verification(experiment: str, low: float, p_value: float = 0.01, **changes: object) -> Verification:
    """A verified method whose lead over vanilla begins at `low`."""
    lead, near = Estimate(low + 0.1, low, low + 0.2), Estimate(0.75, 0.65, 0.85)
    part = DatasetVerification("minimal-pairs", "research", 1000, near, near, near, near, near, lead)
    shuffled = ControlResult("shuffled", "uses its teacher", Estimate(0.4, 0.3, 0.5), "PGR lost when shuffled")
    one = Verification(experiment, (4, 5, 6), near, lead, p_value, 9, None, (part,), (shuffled,), None, NOW)
    return replace(one, **changes)  # type: ignore[arg-type]
