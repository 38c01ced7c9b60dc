"""Small versions of the benchmarks that measure whether scores can be trusted; benchmarks/ has the large ones."""

import numpy as np
import pytest

from aar.config import load_config
from benchmarks.label_reading import ATTACKS, leak
from benchmarks.trust import QUICKSTART, Sizes, World, coverage, share_found

SIZES = Sizes.of(load_config(QUICKSTART))


@pytest.mark.parametrize("attack", ATTACKS)
def test_labels_can_be_read_out_of_exact_answers_and_not_out_of_ours(attack: str) -> None:
    found = leak(ATTACKS[attack], repeats=6)
    assert found.exact_dev > 0.95
    assert found.ladder_dev_in_errors < 1
    assert abs(found.ladder_sealed - 0.5) < 0.02


def test_noise_is_not_declared_better_than_vanilla() -> None:
    assert share_found(World(), SIZES, gain=0.0, campaigns=100) <= 0.05


def test_a_true_gain_of_a_fifth_of_the_gap_is_found() -> None:
    assert share_found(World(), SIZES, gain=0.2, campaigns=200) >= 0.8


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    covered = np.array(coverage(World(), SIZES, repeats=300))
    assert (np.abs(covered - 0.95) < 0.035).all()
