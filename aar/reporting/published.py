"""The tables of published baselines, recomputed from their figures per seed, with our interval beside theirs."""

from rich.table import Table

from aar.reporting.tables import new_table
from aar.reporting.text import estimate_text, plain
from aar.scoring.published import PublishedDataset, PublishedMethod

CAPTION = "SD, SE: over seeds, as published. The interval adds items and the ends' seeds."


def published_tables(datasets: list[PublishedDataset]) -> list[Table]:
    """One table for each dataset, a row for each method."""
    return [_table(dataset) for dataset in datasets]


def _table(one: PublishedDataset) -> Table:
    weak, ceiling = f"weak {one.weak:.3f} ({one.weak_seeds})", f"ceiling {one.ceiling:.3f} ({one.ceiling_seeds})"
    table = new_table(f"{one.name}: {one.items} test items, {weak}, {ceiling}", CAPTION)
    table.add_column("method", overflow="fold")
    for name in ("seeds", "transfer", "PGR [95 %]", "SD", "SE"):
        table.add_column(name, no_wrap=True, justify="right")
    for method in one.methods:
        table.add_row(*(plain(cell) for cell in _cells(method)))
    return table


def _cells(one: PublishedMethod) -> tuple[str, ...]:
    spread = ("" if value is None else f"{value:.3f}" for value in (one.sd, one.se))
    return (one.name, str(one.seeds), f"{one.transfer:.3f}", estimate_text(one.pgr), *spread)
