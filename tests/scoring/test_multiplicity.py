"""Corrections for looking more than once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aar.scoring.verification.verdicts import bonferroni, holm

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@given(p_values)
def test_holm_lies_between_no_correction_and_bonferroni(given_values: list[float]) -> None:
    for p, adjusted in zip(given_values, holm(given_values), strict=True):
        assert p <= adjusted <= bonferroni(p, len(given_values))


@given(p_values)
def test_holm_keeps_the_order(given_values: list[float]) -> None:
    paired = sorted(zip(given_values, holm(given_values), strict=True))
    assert [adjusted for _, adjusted in paired] == sorted(adjusted for _, adjusted in paired)


def test_holm_as_in_a_textbook() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


def test_bonferroni_counts_looks() -> None:
    assert bonferroni(0.01, 9) == pytest.approx(0.09)
    assert bonferroni(0.01, 0) == 0.01
    assert bonferroni(0.4, 9) == 1.0
