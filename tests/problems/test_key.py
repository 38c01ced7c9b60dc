"""The campaign's key: streams that only its holder can compute, and the regions and samples that follow from it."""

import collections

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aar.problems.key import KEY_BYTES, Key, region, sample
from tests.keys import KEY, key_of


def test_a_new_key_is_never_the_same() -> None:
    keys = [Key.new().secret for _ in range(50)]
    assert len(set(keys)) == 50 and {len(secret) for secret in keys} == {KEY_BYTES}


def test_a_key_and_a_purpose_have_one_stream() -> None:
    purposes = [("test",), ("train_label",), ("te", "st"), ("tes", "t"), ()]
    streams = {key.stream(*purpose).random() for key in (KEY, key_of(2)) for purpose in purposes}
    assert len(streams) == 10
    assert KEY.stream("test").random() == KEY.stream("test").random()
    assert KEY.derived("a").stream("b").random() != KEY.stream("a", "b").random()


def test_a_stream_is_frozen_so_that_a_campaign_can_resume_elsewhere() -> None:
    stream = KEY.stream("test")
    assert [round(stream.random(), 6) for _ in range(3)] == FROZEN


def test_numbers_are_uniform_and_independent_of_the_ones_before() -> None:
    stream = KEY.stream("uniform")
    numbers = np.array([stream.random() for _ in range(20_000)])
    assert numbers.min() >= 0 and numbers.max() < 1
    assert np.abs(np.histogram(numbers, 10, (0, 1))[0] - 2000).max() < 200
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.03


def test_an_order_holds_every_number_once() -> None:
    order = KEY.stream("order").order(100)
    assert sorted(order) == list(range(100)) and order != list(range(100))


def test_no_representation_shows_a_key() -> None:
    assert repr(KEY) == "Key()" and str(KEY.secret) not in f"{KEY} {KEY.stream('x')}"


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


FROZEN = [0.373526, 0.575362, 0.426544]
