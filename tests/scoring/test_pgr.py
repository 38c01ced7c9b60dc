"""PGR's arithmetic and its intervals."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aar.scoring.stats.pgr import (
    Correctness,
    Gap,
    accuracy_estimate,
    by_summary,
    difference,
    mean_difference,
    mean_pgr_estimate,
    optimism,
    performance_gap_recovered,
    pgr_estimate,
)
from aar.scoring.stats.uncertainty import Estimate, MeanEstimate, moments

accuracies = st.floats(0, 1)


def answers(accuracy: float, items: int = 300, seeds: int = 3, spread: float = 0.0, seed: int = 0) -> Correctness:
    """Answers right with a probability that differs between seeds by a standard deviation of `spread`."""
    rng = np.random.default_rng([seed, round(accuracy * 1000)])
    rates = np.clip(accuracy + spread * rng.normal(size=seeds), 0, 1)
    return Correctness(rng.uniform(size=(seeds, items)) < rates[:, None])


def gap(items: int = 300, seed: int = 0) -> Gap:
    """A student, its teacher and its ceiling."""
    return Gap(*(answers(accuracy, items, seed=seed) for accuracy in (0.75, 0.65, 0.9)))


def width(estimate: Estimate) -> float:
    return estimate.high - estimate.low


@given(accuracies, accuracies)
def test_pgr_is_0_at_the_teacher_and_1_at_the_ceiling(weak: float, ceiling: float) -> None:
    assume(weak != ceiling)
    assert performance_gap_recovered(weak, weak, ceiling) == 0
    assert performance_gap_recovered(ceiling, weak, ceiling) == 1


@given(accuracies, accuracies, accuracies, accuracies, accuracies)
def test_pgr_is_linear_in_the_accuracy(one: float, other: float, share: float, weak: float, size: float) -> None:
    assume(size > 1e-3)
    mixed = performance_gap_recovered(share * one + (1 - share) * other, weak, weak + size)
    ends = [performance_gap_recovered(accuracy, weak, weak + size) for accuracy in (one, other)]
    assert mixed == pytest.approx(share * ends[0] + (1 - share) * ends[1], abs=1e-9)


@given(accuracies, accuracies)
def test_without_a_gap_there_is_no_pgr(transfer: float, both: float) -> None:
    assert math.isnan(performance_gap_recovered(transfer, both, both))


def test_accuracies_are_means_over_items_and_seeds() -> None:
    correct = Correctness(np.array([[True, True, False, False], [True, True, True, False]]))
    assert correct.accuracies == (0.5, 0.75)
    assert correct.accuracy == 0.625


def test_seeds_can_be_picked_and_a_missing_one_is_named() -> None:
    correct = Correctness(np.array([[True, True], [False, False]]), seeds=(4, 9))
    assert correct.on([9]).accuracy == 0
    with pytest.raises(ValueError, match=r"no answers for the seeds \[5\]"):
        correct.on([4, 5])


@pytest.mark.parametrize("seed", range(3))
def test_intervals_contain_the_value(seed: int) -> None:
    weak, student, ceiling = (answers(accuracy, spread=0.02, seed=seed) for accuracy in (0.65, 0.75, 0.9))
    one = Gap(student, weak, ceiling)
    for estimate in (accuracy_estimate(student), difference(student, weak).estimate(), pgr_estimate(one)):
        assert estimate.low < estimate.value < estimate.high
    expected = performance_gap_recovered(student.accuracy, weak.accuracy, ceiling.accuracy)
    assert pgr_estimate(one).value == one.pgr == expected


def test_intervals_shrink_with_the_number_of_items() -> None:
    few, many = (answers(0.75, items, seeds=1) for items in (50, 800))
    assert width(accuracy_estimate(many)) < 0.45 * width(accuracy_estimate(few))
    assert width(pgr_estimate(gap(3000))) < width(pgr_estimate(gap(300)))


def test_the_interval_of_an_accuracy_is_about_two_standard_errors() -> None:
    one = answers(0.7, items=1000, seeds=1)
    error = math.sqrt(one.accuracy * (1 - one.accuracy) / 1000)
    assert width(accuracy_estimate(one)) == pytest.approx(2 * 1.96 * error, rel=0.01)


def test_fiellers_interval_is_where_the_student_is_not_shown_to_be_off_the_ratio() -> None:
    one = gap(items=400)
    estimate = pgr_estimate(one)
    for end in (estimate.low, estimate.high):
        terms = [(one.student, 1.0), (one.weak, end - 1), (one.ceiling, -end)]
        lead = by_terms(terms)
        assert abs(lead.mean) == pytest.approx(lead.half_width(), rel=1e-4)


def by_terms(terms: list[tuple[Correctness, float]]) -> MeanEstimate:
    return moments(*(weight * model.by_seed for model, weight in terms))


def test_where_the_gap_itself_is_not_shown_pgr_may_be_anything() -> None:
    none = Gap(answers(0.75, 40), answers(0.74, 40), answers(0.76, 40))
    assert (pgr_estimate(none).low, pgr_estimate(none).high) == (-math.inf, math.inf)


@pytest.mark.parametrize("which", ["weak", "ceiling", "student"])
def test_scatter_between_seeds_of_anyone_widens_the_interval_of_pgr(which: str) -> None:
    rates = {"student": 0.75, "weak": 0.65, "ceiling": 0.9}
    steady = {name: Correctness(np.repeat(answers(rate, seeds=1).by_seed, 4, axis=0)) for name, rate in rates.items()}
    bits = steady[which].by_seed.copy()
    bits[0] |= True
    bits[1, ::3] = False
    scattered = {**steady, which: Correctness(bits)}
    estimates = [pgr_estimate(Gap(one["student"], one["weak"], one["ceiling"])) for one in (scattered, steady)]
    assert width(estimates[0]) > 1.3 * width(estimates[1])


def test_a_difference_is_paired_by_item() -> None:
    reference = answers(0.7, seeds=1)
    better = reference.by_seed.copy()
    better[0, np.flatnonzero(~better[0])[:12]] = True
    student = Correctness(better)
    elsewhere = Correctness(np.random.default_rng(0).permuted(better, axis=1))
    paired, unpaired = difference(student, reference), difference(elsewhere, reference)
    assert paired.mean == unpaired.mean == pytest.approx(12 / 300)
    assert paired.half_width() < 0.5 * unpaired.half_width()
    assert paired.p_value() < 0.01 < unpaired.p_value()


def test_models_on_the_same_seeds_are_paired_whatever_their_order() -> None:
    good_seed, bad_seed = np.arange(400) < 320, np.arange(400) < 220
    teacher = Correctness(np.stack([bad_seed, good_seed]), seeds=(3, 8))
    better = Correctness(np.stack([np.arange(400) < 350, np.arange(400) < 250]), seeds=(8, 3))
    paired = difference(better, teacher).estimate()
    unpaired = difference(Correctness(better.by_seed), Correctness(teacher.by_seed)).estimate()
    assert paired.value == pytest.approx(0.075)
    assert 0 < paired.low < paired.value < paired.high
    assert unpaired.low < 0


def test_who_is_always_right_has_no_interval() -> None:
    assert accuracy_estimate(Correctness(np.ones((3, 50), bool))) == Estimate(1.0, 1.0, 1.0)


def test_models_may_have_different_numbers_of_seeds_but_not_of_items() -> None:
    assert pgr_estimate(Gap(answers(0.75, seeds=2), answers(0.65, seeds=5), answers(0.9, seeds=1))).value > 0
    with pytest.raises(ValueError, match=r"different numbers of items.* \[200, 300\]"):
        pgr_estimate(Gap(answers(0.75, 200), answers(0.65), answers(0.9)))


def test_the_mean_pgr_of_one_dataset_is_its_own_and_of_several_is_narrower() -> None:
    one, other = gap(seed=1), gap(seed=2)
    assert mean_pgr_estimate([one]) == pgr_estimate(one)
    both = mean_pgr_estimate([one, other])
    assert both.value == pytest.approx((one.pgr + other.pgr) / 2)
    assert width(both) < max(width(pgr_estimate(one)), width(pgr_estimate(other)))


def test_a_mean_difference_is_in_units_of_the_gaps() -> None:
    one = gap()
    lead = mean_difference([(one.student, one.weak)] * 2, [one.size, one.size])
    assert lead.mean == pytest.approx(one.pgr)


def test_optimism_is_how_much_higher_pgr_was_on_dev() -> None:
    chosen, honest = gap(seed=1), Gap(answers(0.70, seed=2), answers(0.65, seed=2), answers(0.9, seed=2))
    found = optimism([chosen], [honest])
    assert found.value == pytest.approx(chosen.pgr - honest.pgr)
    assert optimism([chosen], [chosen]).value == 0


def test_without_answers_item_by_item_the_interval_is_wider() -> None:
    rng = np.random.default_rng(0)
    items = rng.uniform(size=400)
    student, weak = (Correctness(items[None] < rate + np.array([[0.01], [0.0], [-0.01]])) for rate in (0.8, 0.7))
    known = difference(student, weak)
    summary = by_summary({"s": student.accuracies, "w": weak.accuracies}, {"s": 1.0, "w": -1.0}, 400)
    assert summary.mean == pytest.approx(known.mean)
    assert summary.half_width() > known.half_width()
