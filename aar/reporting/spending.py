"""What a campaign costs: what was used up, how fast, what is left, and the cost of an hour of a researcher."""

import time

from rich.console import RenderableType

from aar.budget import Limit, Spent
from aar.budget.limits import readable
from aar.budget.spend import RATE_SECONDS
from aar.campaign.researcher_state import ResearcherState
from aar.campaign.state import CampaignState
from aar.reporting.tables import new_table
from aar.reporting.text import duration, plain
from aar.researchers.transcript import read, transcript_folders


def cost_words(spent: Spent) -> list[str]:
    """The cost in a line; none where no language model was paid for."""
    if not spent.tokens.total:
        return []
    per_hour = spent.dollars_per_hour
    hour = "" if per_hour is None else f", {dollars(per_hour)} per researcher-hour"
    hours = spent.amounts.seconds / 3600
    recent = f"{dollars(spent.recent_dollars)} in the last {RATE_SECONDS / 60:.0f} min"
    return [f"cost {dollars(spent.amounts.dollars)} ({recent}) in {hours:.2f} researcher-hours{hour}"]


def spending(state: CampaignState) -> list[RenderableType]:
    """A table of what every researcher that thinks has used up and what is left to it."""
    thinking = [one for one in state.researchers if one.brain != "search"]
    if not thinking:
        return []
    table = new_table()
    for name in ("researcher", "time", "tokens in", "cached", "out", "cost", "10 min", "left"):
        table.add_column(name, no_wrap=name != "left", justify="left" if name in ("researcher", "left") else "right")
    for one in thinking:
        table.add_row(*(plain(cell) for cell in _row(one)))
    return [table]


def troubles(state: CampaignState) -> list[RenderableType]:
    """What went wrong between researchers and their models: how often, and what last. Reads their transcripts."""
    table = new_table()
    for name in ("researcher", "troubles", "the last one"):
        table.add_column(name, no_wrap=name != "the last one", overflow="fold")
    for name, folder in transcript_folders(state.folder).items():
        told = [entry for entry in read(folder) if entry.kind == "trouble"]
        if told:
            ago = duration(max(0.0, time.time() - told[-1].time))
            table.add_row(name, str(len(told)), plain(f"{told[-1].data['words']} ({ago} ago)"))
    return [table] if table.row_count else []


def dollars(amount: float) -> str:
    """An amount of money, with cents, or more digits where it is less than one."""
    return f"${amount:.2f}" if amount >= 0.01 or not amount else f"${amount:.4f}"


def _row(one: ResearcherState) -> tuple[str, ...]:
    tokens, amounts = one.spent.tokens, one.spent.amounts
    written = tokens.input + tokens.cache_write_5m + tokens.cache_write_1h
    counts = (f"{count:,}" for count in (written, tokens.cache_read, tokens.output))
    money = dollars(amounts.dollars), dollars(one.spent.recent_dollars)
    return one.name, duration(amounts.seconds), *counts, *money, _left(one.limits)


def _left(limits: tuple[Limit, ...]) -> str:
    """The limit that is nearest to its end."""
    nearest = min(limits, key=lambda limit: limit.left / limit.most, default=None)
    return f"{readable(nearest.what, nearest.left)} ({nearest.scope})" if nearest else ""
