"""The baselines of a problem: teacher, vanilla and ceiling, seed by seed and over all seeds."""

from dataclasses import asdict
from typing import Any

from rich.table import Table

from aar.campaign.state import CampaignState
from aar.reporting.tables import new_table
from aar.reporting.text import estimate_text, pgr_text
from aar.scoring.pgr import Correctness, accuracy_estimate
from aar.scoring.records import HIDDEN
from aar.scoring.scorebook import Scorebook


def baselines_table(state: CampaignState) -> Table:
    """One row for each model: the mean accuracy with its interval, then that of each seed."""
    seeds = sorted(state.baselines.seeds) if state.baselines else []
    vanilla = state.reference.score if state.reference else None
    caption = f"vanilla: PGR {pgr_text(vanilla)}" if vanilla else None
    table = new_table(_title(state), caption)
    for name in ("model", "accuracy [95 %]", *(f"seed {seed}" for seed in seeds)):
        table.add_column(name, justify="left" if name == "model" else "right")
    for name, correct in _models(state).items():
        by_seed = (f"{accuracy:.3f}" for accuracy in correct.accuracies)
        table.add_row(name, estimate_text(accuracy_estimate(correct)), *by_seed)
    return table


def baselines_data(state: CampaignState) -> dict[str, Any]:
    """The same as plain data; accuracies are in the order of `seeds`."""
    vanilla = state.reference.score if state.reference else None
    return {
        "name": state.name,
        "folder": str(state.folder),
        "dataset": state.baselines.dataset if state.baselines else None,
        "test_items": state.baselines.test_items if state.baselines else None,
        "seeds": sorted(state.baselines.seeds) if state.baselines else [],
        "models": {
            name: {**asdict(accuracy_estimate(correct)), "by_seed": correct.accuracies}
            for name, correct in _models(state).items()
        },
        "vanilla_pgr": vanilla and {"value": vanilla.pgr, "low": vanilla.pgr_low, "high": vanilla.pgr_high},
    }


def _models(state: CampaignState) -> dict[str, Correctness]:
    """Who was right on the hidden test set, by model; seeds ascend."""
    if state.baselines is None:
        return {}
    book = Scorebook(state.folder, read_only=True)
    keys = {"teacher": "teacher", "vanilla": state.reference.id if state.reference else "", "ceiling": "ceiling"}
    found = {name: book.correctness(state.baselines.dataset, HIDDEN, key) for name, key in keys.items()}
    return {name: correct for name, correct in found.items() if correct is not None}


def _title(state: CampaignState) -> str | None:
    if state.baselines is None:
        return None
    return f"{state.baselines.dataset}, {state.baselines.test_items} hidden test items"
