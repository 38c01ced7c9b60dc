"""PGR's arithmetic and its intervals."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aar.scoring.pgr import (
    Correctness,
    Estimate,
    accuracy_estimate,
    difference_estimate,
    performance_gap_recovered,
    pgr_estimate,
)

accuracies = st.floats(0, 1)


def answers(accuracy: float, items: int = 300, seeds: int = 3, spread: float = 0.0, seed: int = 0) -> Correctness:
    """Answers right with a probability that differs between seeds by a standard deviation of `spread`."""
    rng = np.random.default_rng([seed, round(accuracy * 1000)])
    rates = np.clip(accuracy + spread * rng.normal(size=seeds), 0, 1)
    return Correctness(rng.uniform(size=(seeds, items)) < rates[:, None])


def models(items: int = 300) -> tuple[Correctness, Correctness, Correctness]:
    """A student, its teacher and its ceiling."""
    return answers(0.75, items), answers(0.65, items), answers(0.9, items)


def width(estimate: Estimate) -> float:
    return estimate.high - estimate.low


@given(accuracies, accuracies)
def test_pgr_is_0_at_the_teacher_and_1_at_the_ceiling(weak: float, ceiling: float) -> None:
    assume(weak != ceiling)
    assert performance_gap_recovered(weak, weak, ceiling) == 0
    assert performance_gap_recovered(ceiling, weak, ceiling) == 1


@given(accuracies, accuracies, accuracies, accuracies, accuracies)
def test_pgr_is_linear_in_the_accuracy(one: float, other: float, share: float, weak: float, gap: float) -> None:
    assume(gap > 1e-3)
    mixed = performance_gap_recovered(share * one + (1 - share) * other, weak, weak + gap)
    ends = [performance_gap_recovered(accuracy, weak, weak + gap) for accuracy in (one, other)]
    assert mixed == pytest.approx(share * ends[0] + (1 - share) * ends[1], abs=1e-9)


@given(accuracies, accuracies)
def test_without_a_gap_there_is_no_pgr(transfer: float, both: float) -> None:
    assert math.isnan(performance_gap_recovered(transfer, both, both))


def test_accuracies_are_means_over_items_and_seeds() -> None:
    correct = Correctness(np.array([[True, True, False, False], [True, True, True, False]]))
    assert correct.accuracies == (0.5, 0.75)
    assert correct.accuracy == 0.625


@pytest.mark.parametrize("seed", range(3))
def test_intervals_contain_the_value(seed: int) -> None:
    weak, student, ceiling = (answers(accuracy, spread=0.02, seed=seed) for accuracy in (0.65, 0.75, 0.9))
    for estimate in (
        accuracy_estimate(student),
        difference_estimate(student, weak),
        pgr_estimate(student, weak, ceiling),
    ):
        assert estimate.low < estimate.value < estimate.high
    expected = performance_gap_recovered(student.accuracy, weak.accuracy, ceiling.accuracy)
    assert pgr_estimate(student, weak, ceiling).value == expected


def test_intervals_shrink_with_the_number_of_items() -> None:
    few, many = (models(items) for items in (50, 800))
    assert width(accuracy_estimate(many[0])) < 0.45 * width(accuracy_estimate(few[0]))
    assert width(pgr_estimate(*many)) < 0.45 * width(pgr_estimate(*few))


def test_the_interval_of_an_accuracy_is_about_two_standard_errors() -> None:
    one = answers(0.7, items=1000, seeds=1)
    error = math.sqrt(one.accuracy * (1 - one.accuracy) / 1000)
    assert width(accuracy_estimate(one)) == pytest.approx(2 * 1.96 * error, rel=0.1)


@pytest.mark.parametrize("which", ["weak", "ceiling", "student"])
def test_scatter_between_seeds_of_anyone_widens_the_interval_of_pgr(which: str) -> None:
    rates = {"student": 0.75, "weak": 0.65, "ceiling": 0.9}
    steady = {name: Correctness(np.repeat(answers(rate, seeds=1).by_seed, 4, axis=0)) for name, rate in rates.items()}
    bits = steady[which].by_seed.copy()
    bits[0] |= True
    bits[1, ::3] = False
    scattered = {**steady, which: Correctness(bits)}
    estimates = [pgr_estimate(one["student"], one["weak"], one["ceiling"]) for one in (scattered, steady)]
    assert width(estimates[0]) > 1.3 * width(estimates[1])


def test_a_difference_is_paired_by_item() -> None:
    reference = answers(0.7, seeds=1)
    better = reference.by_seed.copy()
    better[0, np.flatnonzero(~better[0])[:12]] = True
    student = Correctness(better)
    elsewhere = Correctness(np.random.default_rng(0).permuted(better, axis=1))
    paired, unpaired = difference_estimate(student, reference), difference_estimate(elsewhere, reference)
    assert paired.value == unpaired.value == pytest.approx(12 / 300)
    assert width(paired) < 0.5 * width(unpaired)
    assert paired.low > 0 > unpaired.low


def test_who_is_always_right_has_no_interval() -> None:
    assert accuracy_estimate(Correctness(np.ones((3, 50), bool))) == Estimate(1.0, 1.0, 1.0)


def test_intervals_are_reproducible() -> None:
    student, weak, ceiling = models()
    assert pgr_estimate(student, weak, ceiling) == pgr_estimate(student, weak, ceiling)
    assert pgr_estimate(student, weak, ceiling, seed=1) != pgr_estimate(student, weak, ceiling)


def test_models_may_have_different_numbers_of_seeds_but_not_of_items() -> None:
    assert pgr_estimate(answers(0.75, seeds=2), answers(0.65, seeds=5), answers(0.9, seeds=1)).value > 0
    with pytest.raises(ValueError, match=r"different numbers of items: \[200, 300\]"):
        pgr_estimate(answers(0.75, 200), answers(0.65), answers(0.9))
    with pytest.raises(ValueError, match="different numbers of items"):
        difference_estimate(answers(0.75, 200), answers(0.65))


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(60):
        difficulty, rates = rng.uniform(size=60), 0.75 + 0.04 * rng.normal(size=5)
        estimate = accuracy_estimate(Correctness(difficulty < rates[:, None]))
        covered += estimate.low <= 0.75 <= estimate.high
    assert 0.85 <= covered / 60 <= 0.99


def test_models_on_the_same_seeds_are_paired_whatever_their_order() -> None:
    good_seed, bad_seed = np.arange(400) < 320, np.arange(400) < 220
    teacher = Correctness(np.stack([bad_seed, good_seed]), seeds=(3, 8))
    better = Correctness(np.stack([np.arange(400) < 350, np.arange(400) < 250]), seeds=(8, 3))
    paired = difference_estimate(better, teacher)
    unpaired = difference_estimate(Correctness(better.by_seed), Correctness(teacher.by_seed))
    assert paired.value == pytest.approx(0.075)
    assert 0 < paired.low < paired.value < paired.high
    assert unpaired.low < 0
