"""The search brain's posts claim what the numbers show and no more."""

import math
from dataclasses import replace

import pytest
from hypothesis import given

from aar.commons.foreign import Foreign
from aar.commons.forum import TITLE_CHARACTERS
from aar.researchers.brains.search.optimiser import Proposal
from aar.researchers.brains.search.prose import conclusion, describe, headline, hypothesis
from aar.researchers.brains.search.reading import Trial
from aar.researchers.brains.search.space import DIMENSIONS, MethodSpec
from aar.scoring.records import Experiment, Score
from tests.researchers.brains.search.spec_space import specs
from tests.researchers.client_double import REFERENCE

EM = MethodSpec(labels="em", hard=False)
VANILLA_SCORE = Score(0.8, 0.40, 0.30, 0.50)


def result(pgr: float, half_width: float = 0.1) -> Experiment:
    return replace(REFERENCE, id="e1", score=Score(0.9, pgr, pgr - half_width, pgr + half_width))


def trial(score: Score) -> Trial:
    return Trial(EM, score.pgr, "bob", 7, "c0ffee", score)


@given(specs, specs)
def test_methods_that_differ_are_described_differently(one: MethodSpec, other: MethodSpec) -> None:
    one, other = one.canonical(), other.canonical()
    assert (one == other) == (describe(one) == describe(other))


@given(specs)
def test_titles_fit_the_forum(spec: MethodSpec) -> None:
    assert len(describe(spec)) <= TITLE_CHARACTERS
    assert len(headline(result(-12.345), VANILLA_SCORE, describe(spec))) <= TITLE_CHARACTERS


@pytest.mark.parametrize("name", DIMENSIONS)
def test_a_change_in_any_dimension_has_a_reason(name: str) -> None:
    for value in DIMENSIONS[name]:
        spec = MethodSpec(**{name: value})
        text = hypothesis(Proposal(spec, trial(VANILLA_SCORE), None), "agreement")
        assert text.startswith(describe(spec)[0].upper())


def test_a_hypothesis_names_what_it_builds_on() -> None:
    spec = MethodSpec(labels="em", hard=False, loss="logconf")
    text = hypothesis(Proposal(spec, trial(Score(0.9, 0.74, 0.6, 0.9)), None), "confidence-loss")
    assert "post 7 by bob (PGR 0.74)" in text
    assert "overrule" in text


def test_a_hypothesis_without_a_better_trial_says_that_it_varies_vanilla() -> None:
    assert "It varies vanilla" in hypothesis(Proposal(EM, None, None), "curriculum")


@pytest.mark.parametrize(
    ("pgr", "fate", "verdict"),
    [
        (0.70, "holds", "better"),
        (0.45, "stays open: the difference is within noise", "within noise"),
        (0.10, "is refuted", "worse"),
    ],
)
def test_a_conclusion_claims_a_difference_only_when_it_exceeds_the_noise(pgr: float, fate: str, verdict: str) -> None:
    text = conclusion(result(pgr), "em", VANILLA_SCORE, None, None)
    assert f"The hypothesis {fate}." in text
    assert f"PGR {pgr:.2f} [{pgr - 0.1:.2f}, {pgr + 0.1:.2f}]" in text
    assert f"noise ±{math.hypot(0.1, 0.1):.2f}: {verdict}." in text


def test_the_hypothesis_of_a_variation_is_that_it_beats_what_it_varies_not_vanilla() -> None:
    text = conclusion(result(0.7), "em", VANILLA_SCORE, trial(Score(0.97, 0.95, 0.85, 1.05)), None)
    assert "is better than EM posterior" in text and "The hypothesis is refuted." in text
    assert "Against vanilla: +0.30" in text and "Against the method it varies (post 7): -0.25" in text


def test_a_conclusion_compares_with_the_researchers_best_so_far_unless_that_is_what_it_varies() -> None:
    best = trial(Score(0.9, 0.75, 0.65, 0.85))
    assert "Against my best so far (post 7): -0.05" in conclusion(result(0.7), "em", VANILLA_SCORE, None, best)
    assert "my best so far" not in conclusion(result(0.7), "em", VANILLA_SCORE, best, best)


def test_without_a_reference_nothing_is_claimed_about_vanilla() -> None:
    text = conclusion(result(0.7), "em", None, None, None)
    assert "stays open: there is no score to compare with yet" in text and "Against" not in text


def test_a_failure_is_reported_with_its_reason_as_printable_text() -> None:
    failed = replace(REFERENCE, id="e1", score=None, failure=Foreign("the method \x1b[31mraised\x00 LabError"))
    assert "the method <U+001B>[31mraised<U+0000> LabError" in conclusion(failed, "em", VANILLA_SCORE, None, None)
    assert headline(failed, None, "em") == "Failed: em"
