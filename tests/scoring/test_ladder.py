"""The Ladder: what is released, and what is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aar.scoring.stats.ladder import ItemScores, Ladder, paired_gain

LADDER = Ladder(step=0.02, level=0.05)


def answers(right: int, items: int = 400) -> list[ItemScores]:
    return [ItemScores((np.arange(items) < right).astype(float))]


def test_a_clear_improvement_is_released_and_a_slight_one_is_not() -> None:
    assert LADDER.improves(answers(300), answers(260), submission=1)
    assert not LADDER.improves(answers(261), answers(260), submission=1)


def test_a_step_is_needed_however_sure_the_improvement_is() -> None:
    assert not LADDER.improves(answers(7900, 10_000), answers(7750, 10_000), submission=1)
    assert LADDER.improves(answers(7960, 10_000), answers(7750, 10_000), submission=1)


def test_it_gets_stricter_with_every_submission_of_the_campaign() -> None:
    new, best = answers(275), answers(262)
    assert LADDER.improves(new, best, submission=1)
    assert not LADDER.improves(new, best, submission=10_000)


@given(st.integers(0, 10_000), st.integers(1, 1000))
def test_nothing_improves_on_itself(seed: int, submission: int) -> None:
    same = [ItemScores(np.random.default_rng(seed).uniform(size=50))]
    assert not LADDER.improves(same, same, submission)


@given(st.floats(-2, 2))
def test_what_is_released_is_a_multiple_of_the_step(value: float) -> None:
    rounded = LADDER.rounded(value)
    assert abs(rounded - value) <= 0.01 + 1e-9
    assert (rounded / 0.02) == pytest.approx(round(rounded / 0.02), abs=1e-6)


def test_datasets_are_weighed_by_what_accuracy_is_worth_there() -> None:
    new = [ItemScores(np.ones(100), weight=2.0), ItemScores(np.ones(50), weight=0.5)]
    best = [ItemScores(np.zeros(100), weight=2.0), ItemScores(np.ones(50), weight=0.5)]
    assert paired_gain(new, best) == (2.0, 0.0)


def test_answers_to_other_items_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="30 items were answered, the best submission has 40"):
        LADDER.improves(answers(10, 30), answers(10, 40), 1)
