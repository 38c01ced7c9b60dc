"""The leaderboard: methods by released PGR, then experiments without a significant improvement, and failures."""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aar.campaign.state import CampaignState
from aar.reporting.data import ranked
from aar.reporting.text import UNPROTECTED, new_table, one_line, pgr_text
from aar.scoring.records import PLATFORM, Experiment
from aar.scoring.verification.verdicts import latest

REFERENCE_STYLE = "cyan"
FITTED: dict[str, Any] = {"no_wrap": True, "overflow": "ellipsis"}
NOTHING_YET = "No experiment was scored yet."


def leaderboard(state: CampaignState) -> RenderableType:
    """A table of scored experiments with the references among them, and a list of failed experiments below it."""
    failed = [one for one in state.experiments if one.status == "failed"]
    scored = _table(state) if state.scored or state.baselines else Text(NOTHING_YET)
    return Group(scored, *_unimproved(state.unimproved), *_failures(failed))


def _table(state: CampaignState) -> Table:
    table = new_table(caption=_caption(state))
    for name in ("#", "exp"):
        table.add_column(name, no_wrap=True)
    table.add_column("researcher", no_wrap=True, max_width=14, overflow="ellipsis")
    table.add_column("method", overflow="fold")
    for name in ("accuracy", "PGR [95 %]", "verified"):
        table.add_column(name, no_wrap=True, justify="right")
    rows = [(one.score.pgr, _experiment_row(rank, one, state)) for rank, one in ranked(state) if one.score]
    if state.ceiling_acc is not None and state.weak_acc is not None:
        rows += [(1.0, _end_row("ceiling: trained on ground truth", state.ceiling_acc, "1"))]
        rows += [(0.0, _end_row("teacher: gave the labels", state.weak_acc, "0"))]
    for _, row in sorted(rows, key=lambda row: -row[0]):
        table.add_row(*row)
    return table


def _experiment_row(rank: int | None, one: Experiment, state: CampaignState) -> list[Text]:
    assert one.score is not None
    style = REFERENCE_STYLE if one.researcher == PLATFORM else "bold" if rank == 1 else ""
    note = f"{one.note.text} (reference)" if one.researcher == PLATFORM else one.note.text
    found = (*(() if state.protected else (UNPROTECTED,)), *state.findings.get(one.id, ()))
    marks = "".join(f" ({mark})" for mark in found)
    verified = next((f"{each.pgr.value:.2f}" for each in latest(state.verifications) if each.experiment == one.id), "")
    score = (f"{one.score.accuracy:.3f}", pgr_text(one.score), verified)
    return [one_line(cell, style) for cell in (str(rank or ""), one.id, one.researcher, note + marks, *score)]


def _end_row(what: str, accuracy: float, pgr: str) -> list[Text]:
    return [Text(cell, REFERENCE_STYLE) for cell in ("", "", PLATFORM, what, f"{accuracy:.3f}", pgr, "")]


def _caption(state: CampaignState) -> str | None:
    if not state.baselines:
        return None
    ends = state.baselines
    names = " and ".join(f"{one.dataset} ({one.test_items} items)" for one in ends)
    counts = {len(one.seeds) for one in state.ranked}
    seeds = f"means over {' or '.join(map(str, sorted(counts)))} seeds, " if counts else ""
    protocol = "" if state.protocol == "weights" else f"; {state.protocol} protocol: not to be ranked with others"
    return f"dev of {names}: {seeds}references over {len(ends[0].seeds)}{protocol}"


def _unimproved(others: list[Experiment]) -> list[Text]:
    shown = [(f"  {one.id} ", one_line(one.researcher), ": ", one_line(one.note.text)) for one in others]
    lines = [Text.assemble(*parts, **FITTED) for parts in shown]
    return [Text("No significant improvement over the researcher's best", "bold"), *lines, Text("")] if lines else []


def _failures(failed: list[Experiment]) -> list[Text]:
    lines = [
        Text.assemble(f"  {one.id} ", one_line(one.researcher), ": ", one_line(_why(one)), **FITTED) for one in failed
    ]
    return [Text("Failed", "bold"), *lines, Text("")] if lines else []


def _why(one: Experiment) -> str:
    return one.failure.text if one.failure else ""
