"""The campaign's key: streams that are the same for whoever has it, and say nothing to whoever has not."""

import numpy as np

from aar.problems.key import KEY_BYTES, Key
from tests.keys import KEY, key_of


def test_a_new_key_is_never_the_same() -> None:
    keys = [Key.new().secret for _ in range(50)]
    assert len(set(keys)) == 50 and {len(one) for one in keys} == {KEY_BYTES}


def test_a_key_and_a_purpose_have_one_stream() -> None:
    purposes = [("test",), ("train_label",), ("te", "st"), ("tes", "t"), ()]
    streams = {key.stream(*purpose).random() for key in (KEY, key_of(2)) for purpose in purposes}
    assert len(streams) == 10
    assert KEY.stream("test").random() == KEY.stream("test").random()
    assert KEY.derived("a").stream("b").random() != KEY.stream("a", "b").random()


def test_a_stream_is_frozen_so_that_a_campaign_can_go_on_elsewhere() -> None:
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


def test_a_key_stands_in_no_representation() -> None:
    assert repr(KEY) == "Key()" and str(KEY.secret) not in f"{KEY} {KEY.stream('x')}"


FROZEN = [0.373526, 0.575362, 0.426544]
