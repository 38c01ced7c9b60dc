"""Variance components, the interval computed from them, and its p-value."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aar.scoring.stats.uncertainty import MeanEstimate, VarianceComponent, added, moments

seeds_and_items = st.tuples(st.integers(1, 6), st.integers(2, 40), st.integers(0, 1000))


def layout(seeds: int, items: int, seed: int = 0, between: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(size=(seeds, items)) + between * rng.normal(size=(seeds, 1))


@given(seeds_and_items)
def test_the_mean_is_that_of_all_answers(shape: tuple[int, int, int]) -> None:
    term = layout(*shape)
    assert moments(term).mean == pytest.approx(term.mean())


@given(seeds_and_items, st.floats(0.1, 10))
def test_scaling_scales_mean_and_error(shape: tuple[int, int, int], factor: float) -> None:
    one = moments(layout(*shape))
    scaled = one / factor
    assert scaled.mean == pytest.approx(one.mean / factor)
    assert scaled.half_width() == pytest.approx(one.half_width() / factor)


@given(seeds_and_items)
def test_terms_that_cancel_leave_nothing(shape: tuple[int, int, int]) -> None:
    term = layout(*shape)
    gone = moments(term - term)
    assert (gone.mean, gone.half_width(), gone.p_value()) == (0, 0, 1)


@settings(deadline=None)
@given(st.floats(-5, 5), st.floats(0.01, 5), st.floats(0, 5), st.integers(1, 8))
def test_p_is_below_5_percent_exactly_when_the_interval_leaves_out_0(
    mean: float, items: float, seeds: float, dof: int
) -> None:
    one = MeanEstimate(mean, (VarianceComponent(items, 500),), (VarianceComponent(seeds, dof),))
    interval, p_value = one.estimate(), one.p_value()
    assert 0 <= p_value <= 1
    if abs(p_value - 0.05) > 1e-6:
        assert (p_value < 0.05) == (not interval.low <= 0 <= interval.high)


def test_one_seed_gives_the_usual_standard_error() -> None:
    term = layout(1, 400)
    assert moments(term).error == pytest.approx(term.std(ddof=1) / 20)


def test_few_seeds_get_students_quantile() -> None:
    scattered = np.repeat(np.array([[0.0], [1.0]]), 50, axis=1)
    assert moments(scattered).half_width() == pytest.approx(12.706 * 0.5, rel=1e-3)


def test_items_that_all_students_find_alike_are_not_averaged_away_by_seeds() -> None:
    items = layout(1, 300)
    once, often = moments(items), moments(np.repeat(items, 8, axis=0))
    assert often.error == pytest.approx(once.error)


def test_chance_of_each_answer_is_averaged_away_by_seeds() -> None:
    rng = np.random.default_rng(0)
    few, many = (moments(rng.uniform(size=(seeds, 400))) for seeds in (2, 32))
    assert many.error < few.error


def test_independent_estimates_add_their_variances() -> None:
    one, other = moments(layout(3, 50, 1)), moments(layout(4, 60, 2))
    both = added([one, other])
    assert both.mean == pytest.approx(one.mean + other.mean)
    assert both.error == pytest.approx(math.hypot(one.error, other.error))


@pytest.mark.parametrize("terms", [(layout(2, 1),), (layout(2, 5), layout(2, 6))])
def test_answers_to_different_items_or_to_one_alone_are_refused(terms: tuple[np.ndarray, ...]) -> None:
    with pytest.raises(ValueError, match="different numbers of items, or fewer than two"):
        moments(*terms)
