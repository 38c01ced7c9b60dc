"""The plain view, for output that is no terminal: one line whenever something changed."""

import time
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType

from rich.console import Console
from rich.text import Text

from aar.campaign.state import CAMPAIGN, CampaignState
from aar.reporting.text import estimate_text, one_line, pgr_text, plain
from aar.scoring.records import Experiment


class LogView:
    """Writes lines of time, source and text. Implements View."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: CampaignState | None = None

    def __enter__(self) -> "LogView":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, state: CampaignState) -> None:
        """Write what is new since the last call; on the first one, what was known before is not repeated."""
        for source, text in changes(self._last or replace(state, phase=""), state):
            line = Text(f"{time.strftime('%H:%M:%S')} {source}: ").append(one_line(text))
            self._console.print(line, soft_wrap=True)
        self._last = state

    def say(self, line: str) -> None:
        """Write a line as it is."""
        self._console.print(plain(line), soft_wrap=True)


def changes(before: CampaignState, after: CampaignState) -> Iterator[tuple[str, str]]:
    """What happened between two states: source and text."""
    if after.phase != before.phase:
        yield CAMPAIGN, after.phase
    if after.baselines and not before.baselines:
        for one in after.baselines:
            weak, ceiling = estimate_text(one.weak), estimate_text(one.ceiling)
            yield CAMPAIGN, f"{one.dataset}: teacher accuracy {weak}, ceiling {ceiling}"
    known = {one.id for one in before.experiments if one.ended}
    for experiment in after.experiments:
        if experiment.ended and experiment.id not in known:
            yield experiment.researcher, _outcome(experiment)
    doing = {one.name: one.activity for one in before.researchers}
    for researcher in after.researchers:
        if researcher.activity != doing.get(researcher.name):
            yield researcher.name, researcher.activity


def _outcome(one: Experiment) -> str:
    if one.failure is not None:
        return f"{one.id} failed: {one.failure.text}"
    if one.score is None:
        return f"{one.id}: no significant improvement: {one.note.text}"
    return f"{one.id} scored PGR {pgr_text(one.score)}, accuracy {one.score.accuracy:.3f}: {one.note.text}"
