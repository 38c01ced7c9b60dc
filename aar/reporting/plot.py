"""The picture of a campaign: best PGR against campaign time, and every scored experiment."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aar.campaign.state import CampaignState
from aar.config import PLATFORM
from aar.reporting.text import UNPROTECTED
from aar.scoring.records import Experiment, Score
from aar.storage import storage_errors

FILE = "best-pgr.png"
BEST_COLOUR = "0.25"
REFERENCE_COLOUR = "tab:cyan"


@dataclass(frozen=True)
class Point:
    """A scored experiment at the minute of campaign time when it ended."""

    minute: float
    score: Score
    researcher: str


def save_plot(state: CampaignState, campaign_seconds: Callable[[float], float]) -> Path:
    """Draw the campaign into `best-pgr.png` of its folder and return the file's path.

    Args:
        campaign_seconds: campaign time at a moment (EventLog.seconds_until), so that pauses take no room.

    Raises:
        StorageError: the file could not be written.
    """
    scored = [each for each in state.experiments if each.score and each.researcher != PLATFORM]
    points = [_point(experiment, campaign_seconds) for experiment in scored]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    _draw_references(axes, state)
    _draw_experiments(axes, sorted(points, key=lambda point: point.minute), state.seconds_used / 60)
    mark = "" if state.protected else f" ({UNPROTECTED})"
    axes.set(title=f"{state.name}: best PGR so far{mark}", xlabel="campaign time (minutes)", xlim=(0, None))
    axes.set_ylabel("performance gap recovered, 95 % interval")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize="small")
    path = state.folder / FILE
    with storage_errors(path):
        figure.savefig(path, dpi=150)
    return path


def _point(experiment: Experiment, campaign_seconds: Callable[[float], float]) -> Point:
    assert experiment.score is not None and experiment.ended is not None
    return Point(campaign_seconds(experiment.ended) / 60, experiment.score, experiment.researcher)


def _draw_references(axes: Axes, state: CampaignState) -> None:
    axes.axhline(1, color=REFERENCE_COLOUR, linestyle="--", label=f"ceiling{_accuracy(state.ceiling_acc)}")
    if state.reference and state.reference.score:
        vanilla = state.reference.score
        axes.axhspan(vanilla.pgr_low, vanilla.pgr_high, color=REFERENCE_COLOUR, alpha=0.15, linewidth=0)
        axes.axhline(vanilla.pgr, color=REFERENCE_COLOUR, label=f"vanilla ({vanilla.accuracy:.3f})")
    axes.axhline(0, color=REFERENCE_COLOUR, linestyle=":", label=f"teacher{_accuracy(state.weak_acc)}")


def _accuracy(value: float | None) -> str:
    return "" if value is None else f" ({value:.3f})"


def _draw_experiments(axes: Axes, points: list[Point], last_minute: float) -> None:
    for number, name in enumerate(sorted({point.researcher for point in points})):
        own = [point for point in points if point.researcher == name]
        axes.errorbar(
            [point.minute for point in own],
            [point.score.pgr for point in own],
            np.transpose([_arms(point.score) for point in own]),
            fmt="o", color=colormaps["tab10"](number % 10), elinewidth=1, capsize=3, label=name,
        )  # fmt: skip
    best = _bests(points)
    if best:
        minutes = [point.minute for point in best] + [max(last_minute, best[-1].minute)]
        scores = [point.score for point in [*best, best[-1]]]
        lows, highs = [score.pgr_low for score in scores], [score.pgr_high for score in scores]
        axes.fill_between(minutes, lows, highs, step="post", color=BEST_COLOUR, alpha=0.1, linewidth=0)
        axes.step(minutes, [score.pgr for score in scores], where="post", color=BEST_COLOUR, label="best so far")


def _arms(score: Score) -> tuple[float, float]:
    """How far the interval reaches below and above the value."""
    return max(0.0, score.pgr - score.pgr_low), max(0.0, score.pgr_high - score.pgr)


def _bests(points: list[Point]) -> list[Point]:
    """The points that were the best when they came."""
    best: list[Point] = []
    for point in points:
        if not best or point.score.pgr > best[-1].score.pgr:
            best.append(point)
    return best
