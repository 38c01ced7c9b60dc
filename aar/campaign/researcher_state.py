"""How researchers stand, read from their campaign's folder alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aar.budget import Amounts, Limit, Spend, Spent, Tokens, limits_of
from aar.budget.limits import experiments_allowed
from aar.budget.spend import FILE as SPEND_FILE
from aar.config import CampaignConfig, ResearcherConfig
from aar.researchers.directions import direction_name
from aar.researchers.steering import FILE as STEERING_FILE
from aar.researchers.steering import Standing, Steering, Wish, roster, standing
from aar.scoring.records import Experiment

NOTHING = Spent(Amounts(), Tokens())


@dataclass(frozen=True)
class ResearcherState:
    """One researcher: what it is doing, what it has done and used up, and the limits that hold for it."""

    name: str
    brain: str
    direction: str
    activity: str
    standing: Standing
    experiments: int
    limit: int
    best_pgr: float | None
    spent: Spent
    limits: tuple[Limit, ...]


def researcher_states(
    folder: Path, config: CampaignConfig, activities: Mapping[str, str], experiments: Sequence[Experiment]
) -> tuple[ResearcherState, ...]:
    """Every researcher of a campaign, those too that were added. `activities`: the latest of each, by name."""
    wishes, spend = _wishes(folder), _spend(folder)
    return tuple(
        _state(
            one,
            config,
            activities.get(one.name, "not started"),
            [wish for wish in wishes if wish.researcher == one.name],
            [done for done in experiments if done.researcher == one.name],
            spend,
        )
        for one in roster(config, wishes)
    )


def spent_in(folder: Path) -> Spent:
    """What all researchers of a campaign have used up."""
    spend = _spend(folder)
    return spend.spent() if spend else NOTHING


def _state(
    one: ResearcherConfig, config: CampaignConfig, activity: str, wishes: Sequence[Wish], own: Sequence[Experiment],
    spend: Spend | None,
) -> ResearcherState:  # fmt: skip
    return ResearcherState(
        name=one.name,
        brain=one.brain,
        direction=direction_name(one.direction),
        activity=activity,
        standing=standing(wishes),
        experiments=sum(done.status != "running" for done in own),
        limit=experiments_allowed(one, config),
        best_pgr=max((done.score.pgr for done in own if done.score), default=None),
        spent=spend.spent(one.name) if spend else NOTHING,
        limits=tuple(limits_of(one, config, spend)) if spend else (),
    )


def _wishes(folder: Path) -> list[Wish]:
    return Steering(folder, read_only=True).wishes() if (folder / STEERING_FILE).exists() else []


def _spend(folder: Path) -> Spend | None:
    return Spend(folder, read_only=True) if (folder / SPEND_FILE).exists() else None
