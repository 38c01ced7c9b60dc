"""Only so many are let in at a time."""

from contextlib import ExitStack

from aar.researchers.actor import ConcurrencyLimiter


def test_those_who_are_too_many_are_turned_away_at_once_and_a_place_is_free_again_afterwards() -> None:
    gate = ConcurrencyLimiter(2)
    with ExitStack() as stack:
        assert [stack.enter_context(gate.acquired()) for _ in range(4)] == [True, True, False, False]
    with gate.acquired() as acquired:
        assert acquired
