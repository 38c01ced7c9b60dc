"""The leaderboard: methods by PGR between the two fixed ends of the gap, and what failed."""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aar.campaign.state import CampaignState
from aar.reporting.data import ranked
from aar.reporting.tables import new_table
from aar.reporting.text import one_line, pgr_text
from aar.scoring.records import PLATFORM, Experiment

REFERENCE_STYLE = "cyan"
FITTED: dict[str, Any] = {"no_wrap": True, "overflow": "ellipsis"}
NOTHING_YET = "No experiment was scored yet."


def leaderboard(state: CampaignState) -> RenderableType:
    """A table of scored experiments with the references among them, and a list of failed experiments below it."""
    failed = [one for one in state.experiments if one.status == "failed"]
    scored = _table(state) if state.scored or state.baselines else Text(NOTHING_YET)
    return Group(scored, *_failures(failed))


def _table(state: CampaignState) -> Table:
    table = new_table(caption=_caption(state))
    for name in ("#", "exp"):
        table.add_column(name, no_wrap=True)
    table.add_column("researcher", no_wrap=True, max_width=14, overflow="ellipsis")
    table.add_column("method", overflow="fold")
    for name in ("accuracy", "PGR [95 %]"):
        table.add_column(name, no_wrap=True, justify="right")
    rows = [(one.score.pgr, _experiment_row(rank, one)) for rank, one in ranked(state) if one.score]
    if state.baselines:
        ends = state.baselines
        rows += [(1.0, _end_row("ceiling: trained on ground truth", ends.ceiling.value, "1"))]
        rows += [(0.0, _end_row("teacher: gave the labels", ends.weak.value, "0"))]
    for _, row in sorted(rows, key=lambda row: -row[0]):
        table.add_row(*row)
    return table


def _experiment_row(rank: int | None, one: Experiment) -> list[Text]:
    assert one.score is not None
    style = REFERENCE_STYLE if one.researcher == PLATFORM else "bold" if rank == 1 else ""
    note = f"{one.note} (reference)" if one.researcher == PLATFORM else one.note
    cells = (str(rank or ""), one.id, one.researcher, note, f"{one.score.accuracy:.3f}", pgr_text(one.score))
    return [one_line(cell, style) for cell in cells]


def _end_row(what: str, accuracy: float, pgr: str) -> list[Text]:
    return [Text(cell, REFERENCE_STYLE) for cell in ("", "", PLATFORM, what, f"{accuracy:.3f}", pgr)]


def _caption(state: CampaignState) -> str | None:
    if state.baselines is None:
        return None
    ends, counts = state.baselines, {len(one.seeds) for one in state.scored if one.researcher != PLATFORM}
    seeds = f"means over {' or '.join(map(str, sorted(counts)))} seeds, " if counts else ""
    return f"{ends.dataset}: {seeds}references over {len(ends.seeds)}; {ends.test_items} hidden test items"


def _failures(failed: list[Experiment]) -> list[Text]:
    lines = [
        Text.assemble(f"  {one.id} ", one_line(one.researcher), ": ", one_line(one.failure or ""), **FITTED)
        for one in failed
    ]
    return [Text("Failed", "bold"), *lines, Text("")] if lines else []
