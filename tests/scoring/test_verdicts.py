"""Verdicts on effects, and the correction for looking more than once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aar.scoring.stats.uncertainty import Estimate
from aar.scoring.verification import verdicts
from tests.reporting.states import verification

PRESENT, ABSENT, OPEN = Estimate(0.5, 0.3, 0.7), Estimate(0.0, -0.05, 0.05), Estimate(0.1, -0.2, 0.4)


@pytest.mark.parametrize(
    ("effect", "verdict"),
    [(PRESENT, "uses its teacher"), (ABSENT, "uses no weak supervision"), (OPEN, "undecided")],
)
def test_shuffled_labels(effect: Estimate, verdict: str) -> None:
    assert verdicts.shuffled(effect).verdict == verdict


@pytest.mark.parametrize(
    ("effect", "verdict"),
    [(PRESENT, "follows its teacher"), (ABSENT, "indifferent to its teacher"), (OPEN, "undecided")],
)
def test_better_and_worse_teachers(effect: Estimate, verdict: str) -> None:
    assert verdicts.teachers(effect, "a better teacher minus that with a worse one").verdict == verdict


@pytest.mark.parametrize(
    ("over_recipe", "recipe_gain", "gain", "ensemble", "verdict"),
    [
        (PRESENT, OPEN, PRESENT, True, "gain is from supervision"),
        (ABSENT, PRESENT, PRESENT, True, "gain is from ensembling"),
        (ABSENT, PRESENT, PRESENT, False, "gain is from the recipe"),
        (OPEN, PRESENT, PRESENT, False, "gain is from the recipe"),
        (OPEN, OPEN, PRESENT, False, "undecided"),
        (ABSENT, ABSENT, ABSENT, False, "no gain to explain"),
    ],
)
def test_where_a_gain_comes_from(
    over_recipe: Estimate, recipe_gain: Estimate, gain: Estimate, ensemble: bool, verdict: str
) -> None:
    assert verdicts.recipe(over_recipe, recipe_gain, gain, ensemble).verdict == verdict


@pytest.mark.parametrize(
    ("loss", "verdict"),
    [
        (Estimate(0.01, 0.0, 0.02), "capability kept"),
        (Estimate(-0.1, -0.2, 0.0), "capability kept"),
        (Estimate(0.9, 0.8, 1.0), "capability lost"),
        (Estimate(0.1, 0.05, 0.15), "undecided"),
    ],
)
def test_capability(loss: Estimate, verdict: str) -> None:
    assert verdicts.capability(loss).verdict == verdict


@given(st.floats(-1, 1), st.floats(0, 1))
def test_the_verdict_better_needs_a_lead_and_significance(low: float, p_value: float) -> None:
    one = verification("e2", low, p_value)
    said = verdicts.against_vanilla(one, p_value)
    assert (said == "better than vanilla") == (p_value < 0.05 and one.over_vanilla.value > 0)
    assert (said == "not shown to be better than vanilla") == (p_value >= 0.05)


def test_the_strict_p_counts_every_candidate_that_dev_had_seen() -> None:
    assert verdicts.strict(verification("e2", 0.1, 0.01)) == pytest.approx(0.09)


def test_what_was_in_order_is_left_out_of_the_verdicts() -> None:
    bad = (verdicts.shuffled(ABSENT), verdicts.capability(Estimate(0.9, 0.8, 1.0)), verdicts.plain_recipe())
    one = verification("e2", 0.1, controls=bad, optimism=Estimate(0.5, 0.2, 0.8))
    assert verdicts.verdicts(one, 0.01) == [
        "better than vanilla", "overfitted to dev", "uses no weak supervision", "capability lost",
    ]  # fmt: skip
    assert verdicts.verdicts(verification("e2", 0.1), 0.01) == ["better than vanilla"]


def test_a_correction_counts_every_look_and_keeps_the_latest_of_each_experiment() -> None:
    looks = [verification("e2", 0.1, 0.01), verification("e3", 0.1, 0.04), verification("e2", 0.2, 0.02)]
    assert verdicts.latest(looks) == [looks[2], looks[1]]
    assert verdicts.corrected(looks) == {"e2": pytest.approx(0.04), "e3": pytest.approx(0.04)}


P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@given(P_VALUES)
def test_holm_is_between_no_correction_and_bonferroni(given_values: list[float]) -> None:
    for p, adjusted in zip(given_values, verdicts.holm(given_values), strict=True):
        assert p <= adjusted <= verdicts.bonferroni(p, len(given_values))


@given(P_VALUES)
def test_holm_keeps_the_order(given_values: list[float]) -> None:
    paired = sorted(zip(given_values, verdicts.holm(given_values), strict=True))
    assert [adjusted for _, adjusted in paired] == sorted(adjusted for _, adjusted in paired)


def test_holm_as_in_a_textbook() -> None:
    assert verdicts.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert verdicts.holm([0.2]) == [0.2]
    assert verdicts.holm([]) == []


def test_bonferroni_counts_looks() -> None:
    assert verdicts.bonferroni(0.01, 9) == pytest.approx(0.09)
    assert verdicts.bonferroni(0.01, 0) == 0.01
    assert verdicts.bonferroni(0.4, 9) == 1.0
