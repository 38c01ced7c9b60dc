"""The baselines of a problem on the dev items: untrained student, teacher, vanilla and ceiling, by seed and over all.

Also tables of published baselines, recomputed from their figures by seed, with our interval next to theirs.
"""

from dataclasses import asdict
from typing import Any

from rich.table import Table

from aar.campaign.state import CampaignState
from aar.reporting.text import estimate_text, new_table, pgr_text, plain
from aar.scoring.dataset import CEILING, PRIOR, SIGNED_PRIOR, TEACHER
from aar.scoring.published import PublishedDataset, PublishedMethod
from aar.scoring.records import DEV, Baselines
from aar.scoring.stats.pgr import Correctness, accuracy_estimate
from aar.scoring.store import ScoreStore


def baselines_tables(state: CampaignState) -> list[Table]:
    """Return a table for each dataset, a row for each model: the mean accuracy with its interval, then by seed."""
    return [_table(state, ends) for ends in state.baselines]


def _table(state: CampaignState, ends: Baselines) -> Table:
    vanilla = state.reference.score if state.reference else None
    caption = f"vanilla: PGR {pgr_text(vanilla)}" if vanilla and len(state.baselines) == 1 else None
    table = new_table(f"{ends.dataset}, {ends.test_items} dev items", caption)
    for name in ("model", "accuracy [95 %]", *(f"seed {seed}" for seed in sorted(ends.seeds))):
        table.add_column(name, justify="left" if name == "model" else "right")
    for name, correct in _models(state, ends).items():
        by_seed = (f"{accuracy:.3f}" for accuracy in correct.accuracies)
        table.add_row(name, estimate_text(accuracy_estimate(correct)), *by_seed)
    return table


def baselines_data(state: CampaignState) -> dict[str, Any]:
    """Return the same as plain data. Accuracies are in the order of `seeds`."""
    vanilla = state.reference.score if state.reference else None
    return {
        "name": state.name,
        "folder": str(state.folder),
        "datasets": [_data(state, ends) for ends in state.baselines],
        "vanilla_pgr": vanilla and {"value": vanilla.pgr, "low": vanilla.pgr_low, "high": vanilla.pgr_high},
    }


def _data(state: CampaignState, ends: Baselines) -> dict[str, Any]:
    models = {
        name: {**asdict(accuracy_estimate(correct)), "by_seed": correct.accuracies}
        for name, correct in _models(state, ends).items()
    }
    return {"dataset": ends.dataset, "test_items": ends.test_items, "seeds": sorted(ends.seeds), "models": models}


def _models(state: CampaignState, ends: Baselines) -> dict[str, Correctness]:
    """Which dev items each model got right; seeds ascend."""
    book = ScoreStore(state.folder, read_only=True)
    vanilla = state.reference.id if state.reference else ""
    keys = {PRIOR: PRIOR, SIGNED_PRIOR: SIGNED_PRIOR, "teacher": TEACHER, "vanilla": vanilla, "ceiling": CEILING}
    answers = {name: book.correctness(ends.dataset, DEV, key) for name, key in keys.items()}
    return {name: correct for name, correct in answers.items() if correct is not None}


CAPTION = "SD, SE: over seeds, as published. The interval adds items and the ends' seeds."


def published_tables(datasets: list[PublishedDataset]) -> list[Table]:
    """Return a table for each dataset, a row for each method."""
    return [_published_table(dataset) for dataset in datasets]


def _published_table(dataset: PublishedDataset) -> Table:
    weak, ceiling = (
        f"weak {dataset.weak:.3f} ({dataset.weak_seeds})",
        f"ceiling {dataset.ceiling:.3f} ({dataset.ceiling_seeds})",
    )
    table = new_table(f"{dataset.name}: {dataset.items} test items, {weak}, {ceiling}", CAPTION)
    table.add_column("method", overflow="fold")
    for name in ("seeds", "transfer", "PGR [95 %]", "SD", "SE"):
        table.add_column(name, no_wrap=True, justify="right")
    for method in dataset.methods:
        table.add_row(*(plain(cell) for cell in _cells(method)))
    return table


def _cells(method: PublishedMethod) -> tuple[str, ...]:
    spread = ("" if value is None else f"{value:.3f}" for value in (method.sd, method.se))
    return (method.name, str(method.seeds), f"{method.transfer:.3f}", estimate_text(method.pgr), *spread)
