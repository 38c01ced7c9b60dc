"""The order of a student's rows: properties that hold for any rows, weights, lengths and seeds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aar.models.batching import WINDOW, Batch, SampleSchedule, learning_rate, plan_batches

sizes = st.integers(1, 60)
batch_sizes = st.integers(1, 9)
seeds = st.integers(0, 2**32)


def visits(n: int, seed: int, shuffle: bool) -> SampleSchedule:
    """Some rows of n, repeated or left out when in a given order, with positive weights."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(n)[: rng.integers(1, n + 1)] if shuffle else rng.integers(0, n, rng.integers(1, n + 1))
    return SampleSchedule(rows, rng.uniform(0.1, 5, n).astype(np.float32), shuffle)


def lengths(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed + 1).integers(1, 100, n)


def seen(batches: list[Batch]) -> list[int]:
    """The rows that count, in order."""
    return [int(row) for batch in batches for row, weight in zip(batch.rows, batch.weights, strict=True) if weight > 0]


@given(sizes, batch_sizes, seeds)
def test_every_epoch_visits_every_row_once(n: int, batch_size: int, seed: int) -> None:
    wanted = visits(n, seed, shuffle=True)
    plan = plan_batches(wanted, lengths(n, seed), 3, batch_size, seed)
    per_epoch = len(plan) // 3
    for epoch in range(3):
        assert sorted(seen(plan[epoch * per_epoch : (epoch + 1) * per_epoch])) == sorted(wanted.rows)


@given(sizes, batch_sizes, seeds)
def test_a_given_order_is_kept_in_every_epoch(n: int, batch_size: int, seed: int) -> None:
    wanted = visits(n, seed, shuffle=False)
    assert seen(plan_batches(wanted, lengths(n, seed), 2, batch_size, seed)) == [*wanted.rows, *wanted.rows]


@given(sizes, batch_sizes, seeds, st.booleans())
def test_batches_are_full_and_weights_have_mean_one(n: int, batch_size: int, seed: int, shuffle: bool) -> None:
    wanted = visits(n, seed, shuffle)
    plan = plan_batches(wanted, lengths(n, seed), 1, batch_size, seed)
    assert all(batch.rows.shape == batch.weights.shape == (batch_size,) for batch in plan)
    weights = np.concatenate([batch.weights for batch in plan])
    np.testing.assert_allclose(weights.sum() / len(wanted.rows), 1, rtol=1e-4)
    scale = wanted.weights[wanted.rows].mean()
    for batch in plan:
        counts = batch.weights > 0
        np.testing.assert_allclose(batch.weights[counts] * scale, wanted.weights[batch.rows[counts]], rtol=1e-4)


@given(sizes, batch_sizes, seeds, st.floats(0.01, 4))
def test_epochs_may_end_early_but_there_is_always_a_step(n: int, batch_size: int, seed: int, epochs: float) -> None:
    wanted = visits(n, seed, shuffle=True)
    per_epoch = -(-len(wanted.rows) // batch_size)
    plan = plan_batches(wanted, lengths(n, seed), epochs, batch_size, seed)
    assert len(plan) == max(1, round(epochs * per_epoch))


@given(sizes, batch_sizes, seeds)
def test_the_seed_decides_everything(n: int, batch_size: int, seed: int) -> None:
    wanted = visits(n, seed, shuffle=True)
    one, same = (seen(plan_batches(wanted, lengths(n, seed), 2, batch_size, seed)) for _ in range(2))
    assert one == same


def test_other_seeds_and_epochs_have_other_orders() -> None:
    wanted = SampleSchedule(np.arange(64), np.ones(64, np.float32), True)
    one, other = (seen(plan_batches(wanted, lengths(64, 0), 2, 8, seed)) for seed in (1, 2))
    assert one != other
    assert one[:64] != one[64:]


def test_similar_lengths_share_a_batch() -> None:
    n, batch_size = 16 * WINDOW, 16
    size = np.random.default_rng(0).integers(1, 1000, n)
    plan = plan_batches(SampleSchedule(np.arange(n), np.ones(n, np.float32), True), size, 1, batch_size, 0)
    spread = np.mean([np.ptp(size[batch.rows]) for batch in plan])
    assert spread < 0.25 * np.ptp(size)


schedules = st.tuples(st.integers(1, 300), st.floats(0, 1))


@given(schedules)
def test_the_rate_rises_to_its_peak_and_falls(schedule: tuple[int, float]) -> None:
    steps, warmup = schedule
    rates = [learning_rate(step, steps, 0.1, warmup) for step in range(steps)]
    assert all(0 < rate <= 0.1 * (1 + 1e-9) for rate in rates)
    top = int(np.argmax(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert top <= warmup * steps + 1


def test_the_rate_by_hand() -> None:
    assert [round(learning_rate(step, 10, 1.0, 0.0), 6) for step in (0, 5, 9)] == [1.0, 0.5, 0.1]
    warm = [round(learning_rate(step, 10, 1.0, 0.2), 6) for step in range(4)]
    assert warm == [0.333333, 0.666667, 1.0, 0.875]
