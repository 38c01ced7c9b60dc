"""Predictions that methods submit: good ones, and hostile ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aar.errors import ScoringError
from aar.scoring.dataset import checked_predictions, predictions_digest


def test_labels_and_probabilities_are_predictions() -> None:
    labels = np.array([0, 1, 1])
    probabilities = np.array([[0.6, 0.4], [0.1, 0.9], [0.5, 0.5]])
    np.testing.assert_array_equal(checked_predictions(labels, 3), [False, True, True])
    np.testing.assert_array_equal(checked_predictions(probabilities, 3), [False, True, False])


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.array([0.2, np.nan, np.nan]), "NaN or infinity in 2 rows, first in row 1"),
        (np.array([[0.5, 0.5], [np.inf, 0.0], [0.5, 0.5]]), "NaN or infinity in 1 rows"),
        (np.zeros(2), r"have shape \(2,\); expected \(3,\) labels"),
        (np.zeros(10_000_000), r"have shape \(10000000,\)"),
        (np.zeros((3, 3)), r"have shape \(3, 3\)"),
        (np.zeros((3, 2, 2)), r"have shape"),
        (np.float64(1.0), r"have shape \(\)"),
        (np.empty(0), r"have shape \(0,\)"),
        (np.array(["A", "B", "A"]), "have dtype"),
        (np.array([None, 1, 2]), "have dtype object"),
        (np.array([0, 2, 1]), "labels must be 0 or 1"),
        (np.array([0.3, 0.2, 0.9]), "labels must be 0 or 1"),
        (np.array([[1.5, -0.5]] * 3), "must lie between 0 and 1"),
        (np.array([[1.0, 1.0]] * 3), "each row must sum to 1"),
        (np.array([[1e308, 1e308]] * 3), "must lie between 0 and 1"),
    ],
)
def test_anything_else_is_refused_with_a_reason(values: np.ndarray, told: str) -> None:
    with pytest.raises(ScoringError, match=told):
        checked_predictions(np.asarray(values), 3)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.lists(st.booleans(), min_size=1, max_size=40))
def test_a_digest_knows_predictions_again(one: list[bool], other: list[bool]) -> None:
    same = predictions_digest(np.array(one)) == predictions_digest(np.array(other))
    assert same == (one == other)
