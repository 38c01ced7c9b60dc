"""Published results of baselines, per seed, and the table computed from them: means, PGR, standard errors, intervals.

The file is JSON: {"datasets": {name: {"n_test": items, "baselines": {"weak": {seed: {"weak_acc"}}, "ceiling": {seed:
{"strong_acc"}}}, "methods": {name: {seed: {"transfer_acc"}}}}}}. Weak and ceiling are fixed means over all their seeds;
a method's PGR is the mean over its seeds of (transfer - weak) / (ceiling - weak), as published.

Their spread is the standard deviation over seeds only. Ours adds the sampling of test items and the uncertainty of both
ends of the gap. Correctness by item is not published, so it is an upper bound (see `by_summary`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aar.errors import ProblemError
from aar.scoring.stats.pgr import by_summary, performance_gap_recovered
from aar.scoring.stats.uncertainty import Estimate

WEAK, CEILING, TRANSFER = "weak_acc", "strong_acc", "transfer_acc"


@dataclass(frozen=True)
class PublishedMethod:
    """One method on one dataset. `sd` and `se`: over its seeds, None with one; `pgr`: our estimate and interval."""

    name: str
    seeds: int
    transfer: float
    pgr: Estimate
    sd: float | None
    se: float | None


@dataclass(frozen=True)
class PublishedDataset:
    """One dataset's baselines."""

    name: str
    items: int
    weak: float
    weak_seeds: int
    ceiling: float
    ceiling_seeds: int
    methods: tuple[PublishedMethod, ...]


def read_published(file: Path) -> list[PublishedDataset]:
    """Read the table of a file. Raises ProblemError, which names the field, when the file does not have that shape."""
    try:
        data = json.loads(file.read_text())
    except OSError as error:
        raise ProblemError(f"{file}: cannot be read ({error.strerror}). Give a JSON file of results.") from None
    except ValueError as error:
        raise ProblemError(f"{file}: not JSON: {error}") from None
    datasets = _field(data, "datasets", file.name)
    return [_dataset(name, part, f"{file.name}: {name}") for name, part in datasets.items()]


def _dataset(name: str, part: Any, where: str) -> PublishedDataset:
    items, ends = _field(part, "n_test", where), _field(part, "baselines", where)
    if not isinstance(items, int) or items < 2:
        raise ProblemError(f"{where}: n_test is {items!r}; expected the number of test items")
    weak = _accuracies(_field(ends, "weak", where), WEAK, f"{where}, weak")
    ceiling = _accuracies(_field(ends, "ceiling", where), CEILING, f"{where}, ceiling")
    if not np.mean(ceiling) > np.mean(weak):
        raise ProblemError(f"{where}: the ceiling is not above the weak model, so that there is no gap to recover")
    methods = {
        method: _accuracies(seeds, TRANSFER, f"{where}, {method}")
        for method, seeds in _field(part, "methods", where).items()
    }
    return PublishedDataset(
        name, items, float(np.mean(weak)), len(weak), float(np.mean(ceiling)), len(ceiling),
        tuple(_method(method, transfer, weak, ceiling, items) for method, transfer in methods.items()),
    )  # fmt: skip


def _method(name: str, transfer: list[float], weak: list[float], ceiling: list[float], items: int) -> PublishedMethod:
    weak_acc, gap = float(np.mean(weak)), float(np.mean(ceiling) - np.mean(weak))
    by_seed = [performance_gap_recovered(accuracy, weak_acc, weak_acc + gap) for accuracy in transfer]
    pgr, several = float(np.mean(by_seed)), len(by_seed) > 1
    # The delta method: the lead over the point that divides the gap as the PGR does, in units of the gap.
    accuracies = {"student": transfer, "weak": weak, "ceiling": ceiling}
    lead = by_summary(accuracies, {"student": 1.0, "weak": pgr - 1, "ceiling": -pgr}, items) / gap
    reach = lead.half_width()
    sd = float(np.std(by_seed, ddof=1)) if several else None
    return PublishedMethod(
        name, len(transfer), float(np.mean(transfer)), Estimate(pgr, pgr - reach, pgr + reach),
        sd, sd / len(by_seed) ** 0.5 if sd is not None else None,
    )  # fmt: skip


def _accuracies(seeds: Any, field: str, where: str) -> list[float]:
    if not isinstance(seeds, Mapping) or not seeds:
        raise ProblemError(f"{where}: expected an object with an entry for each seed")
    values = [_field(record, field, f"{where}, seed {seed}") for seed, record in seeds.items()]
    for value in values:
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ProblemError(f"{where}: {field} is {value!r}; expected an accuracy between 0 and 1")
    return [float(value) for value in values]


def _field(part: Any, name: str, where: str) -> Any:
    if not isinstance(part, Mapping) or name not in part:
        raise ProblemError(f'{where}: has no "{name}"')
    return part[name]
