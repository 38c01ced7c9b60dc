"""Arrays as bytes, and odds as probabilities."""

import numpy as np
import pytest

from aar.compute.requests import array_from_bytes, array_to_bytes, class_probabilities


def test_an_array_survives_as_bytes() -> None:
    array = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)
    again = array_from_bytes(array_to_bytes(array))
    np.testing.assert_array_equal(again, array)
    assert again.dtype == array.dtype


def test_nothing_that_would_need_unpickling_passes() -> None:
    with pytest.raises(ValueError, match="pickle"):
        array_to_bytes(np.array([{}], dtype=object))


def test_probabilities_are_the_logistic_function_of_the_odds() -> None:
    probabilities = class_probabilities(np.array([0.0, np.log(3), -1e9, 1e9], np.float32))
    np.testing.assert_allclose(probabilities[:, 1], [0.5, 0.75, 0.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (4, 2)
