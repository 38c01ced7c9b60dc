"""The live view: a campaign in at most 25 lines of 80 columns, drawn anew twice a second; and all of it, drawn once."""

import time
from collections import Counter
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from aar.campaign.state import CampaignState, ResearcherState
from aar.commons.diversity import entropy
from aar.reporting.spending import cost_words
from aar.reporting.text import UNPROTECTED, duration, new_table, one_line, pgr_text, plain
from aar.scoring.records import Experiment

RESEARCHERS_SHOWN = 6
RUNNING_SHOWN = 4
ENDED_SHOWN = 3


class LiveView:
    """Shows a campaign on a terminal, from `with` to its end. Implements View."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, state: CampaignState) -> None:
        """Draw `state`."""
        self._live.update(dashboard(state, time.time(), RESEARCHERS_SHOWN), refresh=True)

    def say(self, line: str) -> None:
        """Write a line above what is drawn."""
        self._live.console.print(plain(line), soft_wrap=True)


def dashboard(state: CampaignState, now: float, most: int | None = None) -> RenderableType:
    """Phase, time, references, best PGR, researchers, and experiments that run or ended.

    Args:
        now: seconds since 1970.
        most: how many researchers are shown; None: all.
    """
    running = [one for one in state.experiments if one.status == "running"]
    ended = sorted((one for one in state.experiments if one.ended), key=lambda one: one.ended or 0)
    return Group(
        _title(state),
        Text(_progress(state, len(ended))),
        *_accuracies(state),
        *_best(state),
        *(Text(line, no_wrap=True, overflow="ellipsis") for line in [*cost_words(state.spent), *_families(state)]),
        Text(""),
        _researchers(state.researchers, most),
        *_unfinished(state, running, now),
        *_experiments("ended", [_ended_row(one) for one in reversed(ended[-ENDED_SHOWN:])], len(ended)),
    )


def _title(state: CampaignState) -> Text:
    mark = [] if state.protected else [("  " + UNPROTECTED, "bold red")]
    name, phase = (state.name, "bold"), one_line(state.phase, "green")
    return Text.assemble(name, *mark, "  ", phase, no_wrap=True, overflow="ellipsis")


def _progress(state: CampaignState, ended: int) -> str:
    left = max(0.0, state.seconds_budget - state.seconds_used)
    used = f"{duration(state.seconds_used)} of {duration(state.seconds_budget)} used, {duration(left)} left"
    return f"{used} · {ended} experiments done"


def _accuracies(state: CampaignState) -> list[Text]:
    vanilla = state.reference.score if state.reference else None
    known = [
        ("teacher", state.weak_acc),
        ("vanilla", vanilla.accuracy if vanilla else None),
        ("ceiling", state.ceiling_acc),
    ]
    shown = [f"{name} {value:.3f}" for name, value in known if value is not None]
    return [Text("accuracy: " + " · ".join(shown))] if shown else []


def _best(state: CampaignState) -> list[Text]:
    if state.best is None or state.best.score is None:
        return []
    line = Text.assemble("best PGR ", (pgr_text(state.best.score), "bold green"), f" by {state.best.researcher}")
    if state.reference and state.reference.score:
        line.append(f" · vanilla {pgr_text(state.reference.score)}")
    return [line]


def _families(state: CampaignState) -> list[str]:
    counts = Counter(state.families)
    if not counts:
        return []
    shown = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    return [f"families of methods: entropy {entropy(counts):.2f} bits · {shown}"]


def _researchers(researchers: tuple[ResearcherState, ...], most: int | None) -> Table:
    table = new_table(expand=True)
    table.add_column("researcher", no_wrap=True, overflow="ellipsis", max_width=16)
    table.add_column("direction", no_wrap=True, overflow="ellipsis", max_width=24)
    table.add_column("done", no_wrap=True, justify="right")
    table.add_column("best", no_wrap=True, justify="right")
    table.add_column("doing", no_wrap=True, overflow="ellipsis", ratio=1)
    for one in researchers[:most]:
        best = "" if one.best_pgr is None else f"{one.best_pgr:.2f}"
        doing = one.activity if one.desired_state == "working" else f"{one.desired_state}: {one.activity}"
        done = f"{one.experiments}/{one.limit}"
        table.add_row(one.name, one_line(one.direction), done, best, one_line(doing))
    if most and len(researchers) > most:
        table.add_row(f"and {len(researchers) - most} more")
    return table


def _unfinished(state: CampaignState, unfinished: list[Experiment], now: float) -> list[RenderableType]:
    shown = unfinished[:RUNNING_SHOWN]
    if state.running:
        return _experiments("running", [_running_row(one, now) for one in shown], len(unfinished))
    return _experiments("interrupted", [_row(one, Text("goes on with the next run")) for one in shown], len(unfinished))


def _experiments(title: str, rows: list[list[Text]], total: int) -> list[RenderableType]:
    if not rows:
        return []
    table = Table.grid(padding=(0, 2), expand=True)
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column(no_wrap=True, justify="right", overflow="ellipsis", max_width=40)
    for row in rows:
        table.add_row(*row)
    heading = title if total == len(rows) else f"{title} ({len(rows)} of {total})"
    return [Text(""), Text(heading, "dim"), table]


def _running_row(one: Experiment, now: float) -> list[Text]:
    return _row(one, Text(duration(max(0.0, now - one.started))))


def _ended_row(one: Experiment) -> list[Text]:
    if one.failure:
        return _row(one, one_line(f"failed: {one.failure.text}", "red"))
    return _row(one, Text(f"PGR {pgr_text(one.score)}" if one.score else "no significant improvement"))


def _row(one: Experiment, outcome: Text) -> list[Text]:
    return [Text(one.id), one_line(one.researcher), one_line(one.note.text), outcome]
