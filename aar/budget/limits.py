"""Limits, one inside the other: a researcher's own within the campaign's. The innermost that is exceeded is told."""

from collections.abc import Mapping
from dataclasses import dataclass

from aar.budget.usage import NAMES, Resources, UsageStore
from aar.config import CampaignConfig, ResearcherConfig, UsageLimits

COUNTED = ("experiments", "checks")
"""What is refused one by one when it is used up, and ends nobody."""
_UNITS = {
    "tokens": "{:,.0f} tokens", "dollars": "${:.2f}", "seconds": "{:,.0f} s of wall time",
    "experiments": "{:.0f} experiments", "checks": "{:.0f} quick checks",
    "cpu_seconds": "{:,.0f} CPU seconds", "gpu_seconds": "{:,.0f} GPU seconds",
}  # fmt: skip


@dataclass(frozen=True)
class Limit:
    """How much of one thing may be used, by a researcher or by all of them (`scope`), and how much is used up."""

    scope: str
    what: str
    maximum: float
    used: float

    @property
    def left(self) -> float:
        """What may still be used."""
        return max(0.0, self.maximum - self.used)

    def describe(self) -> str:
        """For example "$1.20 of $5.00 used by ada"."""
        return f"{readable(self.what, self.used)} of {readable(self.what, self.maximum)} used by {self.scope}"


def limits_of(researcher: ResearcherConfig, config: CampaignConfig, spend: UsageStore) -> list[Limit]:
    """Every limit that holds for a researcher, its own before the campaign's."""
    own, shared = researcher.budget or config.budget.researcher, config.budget
    allowed = {**_allowed(own), "seconds": _seconds(own.minutes)}
    allowed["experiments"] = experiments_allowed(researcher, config)
    allowed["checks"] = own.checks or config.budget.checks_per_researcher
    mine = _limits(researcher.name, allowed, spend.resources(researcher.name))
    return mine + _limits("the campaign", _allowed(shared), spend.resources())


def experiments_allowed(researcher: ResearcherConfig, config: CampaignConfig) -> int:
    """How many experiments a researcher may run."""
    own = researcher.budget or config.budget.researcher
    return own.experiments or config.budget.experiments_per_researcher


def exceeded(limits: list[Limit]) -> Limit | None:
    """The innermost limit that is used up, but for experiments and checks: whoever has none left may still think."""
    return next((limit for limit in limits if limit.what not in COUNTED and limit.left <= 0), None)


def readable(what: str, amount: float) -> str:
    """An amount with its unit."""
    return _UNITS[what].format(amount)


def _allowed(most: UsageLimits) -> dict[str, float | None]:
    return {name: getattr(most, name) for name in UsageLimits.model_fields}


def _seconds(minutes: float | None) -> float | None:
    return None if minutes is None else minutes * 60


def _limits(scope: str, allowed: Mapping[str, float | None], used: Resources) -> list[Limit]:
    pairs = [(name, allowed.get(name)) for name in NAMES]
    return [Limit(scope, name, most, getattr(used, name)) for name, most in pairs if most is not None]
