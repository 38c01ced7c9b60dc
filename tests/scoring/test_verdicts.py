"""Effects and what they mean, in words."""

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
def test_better_is_said_only_of_what_is_above_and_significant(low: float, p_value: float) -> None:
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


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_corrected_p_values_keep_their_order_and_are_never_smaller_than_the_tests_own(values: list[float]) -> None:
    adjusted = verdicts.holm(values)
    assert all(value <= after <= 1 for value, after in zip(values, adjusted, strict=True))
    order = sorted(range(len(values)), key=values.__getitem__)
    assert [adjusted[at] for at in order] == sorted(adjusted)


def test_one_look_needs_no_correction() -> None:
    assert verdicts.holm([0.03]) == [0.03] and verdicts.bonferroni(0.03, 0) == verdicts.bonferroni(0.03, 1) == 0.03
