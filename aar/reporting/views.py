"""Views of a campaign while it runs, on a terminal or in a log, and its dashboard.

On a terminal it takes at most 25 lines of 80 columns, and is redrawn twice a second.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from aar.campaign.state import CAMPAIGN, CampaignState, ResearcherState
from aar.commons.diversity import entropy
from aar.reporting.spending import cost_words
from aar.reporting.text import UNPROTECTED, duration, estimate_text, new_table, one_line, pgr_text, plain
from aar.scoring.records import Experiment

RESEARCHERS_SHOWN = 6
RUNNING_SHOWN = 4
ENDED_SHOWN = 3


class LiveView:
    """Draws a campaign on a terminal while its context is open. Implements View."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, state: CampaignState) -> None:
        """Draw `state`."""
        self._live.update(dashboard(state, time.time(), RESEARCHERS_SHOWN), refresh=True)

    def say(self, line: str) -> None:
        """Print a line above the dashboard."""
        self._live.console.print(plain(line), soft_wrap=True)


class LogView:
    """Prints a line of time, source and text for every change, for output that is not a terminal. Implements View."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: CampaignState | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, state: CampaignState) -> None:
        """Print what has changed since the last call. The first call prints only the phase."""
        for source, text in changes(self._last or replace(state, phase=""), state):
            line = Text(f"{time.strftime('%H:%M:%S')} {source}: ").append(one_line(text))
            self._console.print(line, soft_wrap=True)
        self._last = state

    def say(self, line: str) -> None:
        """Print a line as it is."""
        self._console.print(plain(line), soft_wrap=True)


def changes(before: CampaignState, after: CampaignState) -> Iterator[tuple[str, str]]:
    """Yield what has changed between two states, each as a source and a text."""
    if after.phase != before.phase:
        yield CAMPAIGN, after.phase
    if after.baselines and not before.baselines:
        for baselines in after.baselines:
            weak, ceiling = estimate_text(baselines.weak), estimate_text(baselines.ceiling)
            yield CAMPAIGN, f"{baselines.dataset}: teacher accuracy {weak}, ceiling {ceiling}"
    had_ended = {experiment.id for experiment in before.experiments if experiment.ended}
    for experiment in after.experiments:
        if experiment.ended and experiment.id not in had_ended:
            yield experiment.researcher, _outcome(experiment)
    activities = {researcher.name: researcher.activity for researcher in before.researchers}
    for researcher in after.researchers:
        if researcher.activity != activities.get(researcher.name):
            yield researcher.name, researcher.activity


def _outcome(experiment: Experiment) -> str:
    if experiment.failure is not None:
        return f"{experiment.id} failed: {experiment.failure.text}"
    if experiment.score is None:
        return f"{experiment.id}: no significant improvement: {experiment.note.text}"
    score = f"PGR {pgr_text(experiment.score)}, accuracy {experiment.score.accuracy:.3f}"
    return f"{experiment.id} scored {score}: {experiment.note.text}"


def dashboard(state: CampaignState, now: float, most: int | None = None) -> RenderableType:
    """Show phase, time, references, best PGR, researchers, and running and ended experiments.

    Args:
        now: seconds since 1970.
        most: the largest number of researchers to show, or None for all.
    """
    running = [experiment for experiment in state.experiments if experiment.status == "running"]
    ended = [experiment for experiment in state.experiments if experiment.ended]
    ended.sort(key=lambda experiment: experiment.ended or 0)
    return Group(
        _title(state),
        Text(_progress(state, len(ended))),
        *_accuracies(state),
        *_best(state),
        *(Text(line, no_wrap=True, overflow="ellipsis") for line in [*cost_words(state.spent), *_families(state)]),
        Text(""),
        _researchers(state.researchers, most),
        *_unfinished(state, running, now),
        *_experiments("ended", [_ended_row(experiment) for experiment in reversed(ended[-ENDED_SHOWN:])], len(ended)),
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
    accuracies = {
        "teacher": state.weak_acc,
        "vanilla": vanilla.accuracy if vanilla else None,
        "ceiling": state.ceiling_acc,
    }
    parts = [f"{name} {accuracy:.3f}" for name, accuracy in accuracies.items() if accuracy is not None]
    return [Text("accuracy: " + " · ".join(parts))] if parts else []


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
    sizes = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    return [f"families of methods: entropy {entropy(counts):.2f} bits · {sizes}"]


def _researchers(researchers: tuple[ResearcherState, ...], most: int | None) -> Table:
    table = new_table(expand=True)
    table.add_column("researcher", no_wrap=True, overflow="ellipsis", max_width=16)
    table.add_column("direction", no_wrap=True, overflow="ellipsis", max_width=24)
    table.add_column("done", no_wrap=True, justify="right")
    table.add_column("best", no_wrap=True, justify="right")
    table.add_column("doing", no_wrap=True, overflow="ellipsis", ratio=1)
    for researcher in researchers[:most]:
        best = "" if researcher.best_pgr is None else f"{researcher.best_pgr:.2f}"
        is_working = researcher.desired_state == "working"
        doing = researcher.activity if is_working else f"{researcher.desired_state}: {researcher.activity}"
        done = f"{researcher.experiments}/{researcher.limit}"
        table.add_row(researcher.name, one_line(researcher.direction), done, best, one_line(doing))
    if most and len(researchers) > most:
        table.add_row(f"and {len(researchers) - most} more")
    return table


def _unfinished(state: CampaignState, unfinished: list[Experiment], now: float) -> list[RenderableType]:
    first = unfinished[:RUNNING_SHOWN]
    if state.running:
        rows = [_row(experiment, Text(duration(max(0.0, now - experiment.started)))) for experiment in first]
        return _experiments("running", rows, len(unfinished))
    rows = [_row(experiment, Text("resumes with the next run")) for experiment in first]
    return _experiments("interrupted", rows, len(unfinished))


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


def _ended_row(experiment: Experiment) -> list[Text]:
    if experiment.failure:
        return _row(experiment, one_line(f"failed: {experiment.failure.text}", "red"))
    score = experiment.score
    return _row(experiment, Text(f"PGR {pgr_text(score)}" if score else "no significant improvement"))


def _row(experiment: Experiment, outcome: Text) -> list[Text]:
    return [Text(experiment.id), one_line(experiment.researcher), one_line(experiment.note.text), outcome]
