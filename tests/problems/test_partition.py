"""Regions and samples: where a row belongs is the key's secret, and samples only grow."""

import collections

from hypothesis import given
from hypothesis import strategies as st

from aar.problems.partition import region, sample
from tests.keys import KEY, key_of


def test_a_region_follows_from_the_key_and_the_texts_in_whatever_order() -> None:
    regions = [region(KEY, text) for text in ("a", "b", "d", "f", "headline 1")]
    assert regions == [region(KEY, text) for text in ("a", "b", "d", "f", "headline 1")]
    assert all(region(KEY, f"{row}", "other") == region(KEY, "other", f"{row}") for row in range(100))


def test_another_key_has_other_regions() -> None:
    same = sum(region(KEY, f"row {row}") == region(key_of(2), f"row {row}") for row in range(4000))
    assert abs(same / 4000 - (0.125**2 + 0.375**2 + 0.5**2)) < 0.03


def test_the_regions_have_their_shares() -> None:
    counts = collections.Counter(region(KEY, f"row {row}") for row in range(16_000))
    shares = {name: round(count / 1000) for name, count in counts.items()}
    assert shares == {"train_label": 2, "train_unlabel": 6, "test": 8}


@given(rows=st.lists(st.integers(), unique=True, max_size=40), number=st.integers(0, 2**40), size=st.integers(0, 40))
def test_a_sample_has_no_row_twice_and_a_larger_one_begins_with_it(rows: list[int], number: int, size: int) -> None:
    key = key_of(number)
    whole, part = sample(rows, len(rows), key.stream("x")), sample(rows, size, key.stream("x"))
    assert sorted(whole) == sorted(rows) and whole[:size] == part
