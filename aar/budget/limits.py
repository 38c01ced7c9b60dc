"""Nested limits: a researcher's own within the campaign's. The innermost limit that is exceeded is reported."""

from collections.abc import Mapping
from dataclasses import dataclass

from aar.budget.usage import NAMES, Resources, UsageStore
from aar.config import CampaignConfig, ResearcherConfig, UsageLimits

COUNTED = ("experiments", "checks")
"""When these are used up, further ones are refused, but the researcher continues."""
_UNITS = {
    "tokens": "{:,.0f} tokens", "dollars": "${:.2f}", "seconds": "{:,.0f} s of wall time",
    "experiments": "{:.0f} experiments", "checks": "{:.0f} quick checks",
    "cpu_seconds": "{:,.0f} CPU seconds", "gpu_seconds": "{:,.0f} GPU seconds",
}  # fmt: skip


@dataclass(frozen=True)
class Limit:
    """The maximum of one resource for a researcher, or for all of them (`scope`), and the amount used."""

    scope: str
    what: str
    maximum: float
    used: float

    @property
    def left(self) -> float:
        """The amount that may still be used."""
        return max(0.0, self.maximum - self.used)

    def describe(self) -> str:
        """Return a text such as "$1.20 of $5.00 used by ada"."""
        return f"{readable(self.what, self.used)} of {readable(self.what, self.maximum)} used by {self.scope}"


def limits_of(researcher: ResearcherConfig, config: CampaignConfig, usage: UsageStore) -> list[Limit]:
    """Return every limit that applies to a researcher, its own before the campaign's."""
    budget = researcher.budget or config.budget.researcher
    allowed = {**_allowed(budget), "seconds": _seconds(budget.minutes)}
    allowed["experiments"] = experiments_allowed(researcher, config)
    allowed["checks"] = budget.checks or config.budget.checks_per_researcher
    own = _limits(researcher.name, allowed, usage.resources(researcher.name))
    return own + _limits("the campaign", _allowed(config.budget), usage.resources())


def experiments_allowed(researcher: ResearcherConfig, config: CampaignConfig) -> int:
    """Return how many experiments a researcher may run."""
    budget = researcher.budget or config.budget.researcher
    return budget.experiments or config.budget.experiments_per_researcher


def exceeded(limits: list[Limit]) -> Limit | None:
    """Return the innermost limit that is used up.

    Experiments and checks do not count: a researcher without any left may still think.
    """
    return next((limit for limit in limits if limit.what not in COUNTED and limit.left <= 0), None)


def readable(what: str, amount: float) -> str:
    """Format an amount with its unit."""
    return _UNITS[what].format(amount)


def _allowed(limits: UsageLimits) -> dict[str, float | None]:
    return {name: getattr(limits, name) for name in UsageLimits.model_fields}


def _seconds(minutes: float | None) -> float | None:
    return None if minutes is None else minutes * 60


def _limits(scope: str, allowed: Mapping[str, float | None], used: Resources) -> list[Limit]:
    maxima = [(name, allowed.get(name)) for name in NAMES]
    return [Limit(scope, name, maximum, getattr(used, name)) for name, maximum in maxima if maximum is not None]
