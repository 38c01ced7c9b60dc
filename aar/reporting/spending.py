"""A campaign's failed requests to language models, and its costs: used, rate, left, and per researcher-hour."""

import time
from collections.abc import Mapping

from rich.console import RenderableType

from aar.budget import Limit, Usage
from aar.budget.limits import readable
from aar.budget.usage import RATE_SECONDS
from aar.campaign.state import ApiFailures, CampaignState, ResearcherState
from aar.reporting.text import duration, new_table, one_line, plain


def api_failure_tables(failures: Mapping[str, ApiFailures]) -> list[RenderableType]:
    """Return a table of the researchers with failed requests, or nothing if there are none."""
    if not failures:
        return []
    table = new_table(expand=True)
    table.add_column("researcher", no_wrap=True)
    table.add_column("failed requests", no_wrap=True, justify="right")
    table.add_column("last", no_wrap=True)
    table.add_column("message", ratio=1)
    for name, failed in failures.items():
        when = time.strftime("%m-%d %H:%M", time.localtime(failed.time))
        table.add_row(plain(name), str(failed.count), when, one_line(failed.last))
    return [table]


def cost_words(spent: Usage) -> list[str]:
    """Return the cost in one line, or nothing if no language model was paid for."""
    if not spent.tokens.total:
        return []
    per_hour = spent.dollars_per_hour
    hour = "" if per_hour is None else f", {dollars(per_hour)} per researcher-hour"
    hours = spent.resources.seconds / 3600
    recent = f"{dollars(spent.recent_dollars)} in the last {RATE_SECONDS / 60:.0f} min"
    return [f"cost {dollars(spent.resources.dollars)} ({recent}) in {hours:.2f} researcher-hours{hour}"]


def spending(state: CampaignState) -> list[RenderableType]:
    """Return a table of what each researcher has used and has left, or nothing before a limit is known.

    Tokens and their cost have columns only if any were used.
    """
    if not any(researcher.limits for researcher in state.researchers):
        return []
    rows = [_row(researcher, paid=bool(state.spent.tokens.total)) for researcher in state.researchers]
    table = new_table()
    for name in rows[0]:
        table.add_column(name, no_wrap=name != "left", justify="left" if name in ("researcher", "left") else "right")
    for row in rows:
        table.add_row(*(plain(cell) for cell in row.values()))
    return [table]


def dollars(amount: float) -> str:
    """Format an amount of money with cents, or with more digits if it is less than one."""
    return f"${amount:.2f}" if amount >= 0.01 or not amount else f"${amount:.4f}"


def _row(researcher: ResearcherState, *, paid: bool) -> dict[str, str]:
    """Cells by the names of their columns."""
    last = {"left": _left(researcher.limits)}
    first = {"researcher": researcher.name, "time": duration(researcher.spent.resources.seconds)}
    return {**first, **_cost(researcher.spent), **last} if paid else {**first, **last}


def _cost(spent: Usage) -> dict[str, str]:
    tokens = spent.tokens
    written = tokens.input + tokens.cache_write_5m + tokens.cache_write_1h
    counts = {"tokens in": written, "cached": tokens.cache_read, "out": tokens.output}
    money = {"cost": spent.resources.dollars, "10 min": spent.recent_dollars}
    return {name: f"{count:,}" for name, count in counts.items()} | {
        name: dollars(amount) for name, amount in money.items()
    }


def _left(limits: tuple[Limit, ...]) -> str:
    """The limit of which the smallest share is left."""
    nearest = min(limits, key=lambda limit: limit.left / limit.maximum, default=None)
    return f"{readable(nearest.what, nearest.left)} ({nearest.scope})" if nearest else ""
