"""Regions and samples: where a row belongs never changes, and samples only grow."""

import collections

from hypothesis import given
from hypothesis import strategies as st

from aar.problems.partition import generator, region, sample


def test_the_regions_of_some_texts_are_frozen() -> None:
    regions = [region(text) for text in ("a", "b", "d", "f", "headline 1")]
    assert regions == ["test", "test", "test", "train_unlabel", "train_label"]


def test_the_regions_have_their_shares() -> None:
    counts = collections.Counter(region(f"row {row}") for row in range(16_000))
    shares = {name: round(count / 1000) for name, count in counts.items()}
    assert shares == {"train_label": 2, "train_unlabel": 6, "test": 8}


@given(rows=st.lists(st.integers(), unique=True, max_size=40), seed=st.integers(0, 2**40), size=st.integers(0, 40))
def test_a_sample_has_no_row_twice_and_a_larger_one_begins_with_it(rows: list[int], seed: int, size: int) -> None:
    whole, part = sample(rows, len(rows), seed, "x"), sample(rows, size, seed, "x")
    assert sorted(whole) == sorted(rows) and whole[:size] == part


def test_every_seed_and_purpose_has_its_own_stream() -> None:
    streams = {generator(seed, purpose).random() for seed in (0, 1, -1) for purpose in ("test", "train_label")}
    assert len(streams) == 6
