"""The order and the batches in which a student sees its training rows. Plain numpy, decided by the seed alone."""

from dataclasses import dataclass

import numpy as np

WINDOW = 8
BATCH_ORDER_SEED = 0
"""Orders the batches of an epoch, for every student alike: no seed sees long texts earlier than another by chance."""


@dataclass(frozen=True)
class Batch:
    """Row numbers of one step and their weights; both (batch_size,). Rows that only fill the batch have weight 0."""

    rows: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class SampleSchedule:
    """The rows to train on: `rows` (m,) in visiting order, shuffled for each epoch if `shuffle`; `weights` (n,)."""

    rows: np.ndarray
    weights: np.ndarray
    shuffle: bool


def plan_batches(visits: SampleSchedule, lengths: np.ndarray, epochs: float, batch_size: int, seed: int) -> list[Batch]:
    """Return all batches of a run.

    Args:
        lengths: (n,) tokens of each row. When shuffling, similar lengths share a batch, within windows of eight
            batches, so that little is computed on padding.
        epochs: a fraction ends the last epoch early.

    Returns:
        Batches of exactly `batch_size` rows. Weights are scaled to a mean of 1 over the visited rows.
    """
    rng, order = np.random.default_rng(seed), np.random.default_rng(BATCH_ORDER_SEED)
    per_epoch = -(-len(visits.rows) // batch_size)
    steps = max(1, round(epochs * per_epoch))
    weights = visits.weights / visits.weights[visits.rows].mean()
    batches: list[Batch] = []
    while len(batches) < steps:
        rows = _bucketed(rng.permutation(visits.rows), lengths, batch_size, order) if visits.shuffle else visits.rows
        batches += [_filled(rows[at : at + batch_size], weights, batch_size) for at in range(0, len(rows), batch_size)]
    return batches[:steps]


def learning_rate(step: int, steps: int, peak: float, warmup: float) -> float:
    """Return the learning rate of a step: linear warm-up over a fraction of the steps, then linear decay to zero."""
    rising = warmup * steps
    if step < rising:
        return peak * (step + 1) / (rising + 1)
    return peak * (steps - step) / max(1.0, steps - rising)


def _bucketed(rows: np.ndarray, lengths: np.ndarray, batch_size: int, order: np.random.Generator) -> np.ndarray:
    """Put rows with similar lengths into the same batch, and shuffle the batches by `order`."""
    window = WINDOW * batch_size
    full = len(rows) - len(rows) % batch_size
    sorted_windows = [rows[at : min(at + window, full)] for at in range(0, full, window)]
    sorted_windows = [part[np.argsort(lengths[part], kind="stable")] for part in sorted_windows]
    batches = np.concatenate(sorted_windows).reshape(-1, batch_size) if full else np.empty((0, batch_size), rows.dtype)
    return np.concatenate([order.permutation(batches).ravel(), rows[full:]])


def _filled(rows: np.ndarray, weights: np.ndarray, batch_size: int) -> Batch:
    missing = batch_size - len(rows)
    return Batch(
        rows=np.concatenate([rows, np.repeat(rows[:1], missing)]),
        weights=np.concatenate([weights[rows], np.zeros(missing)]).astype(np.float32),
    )
