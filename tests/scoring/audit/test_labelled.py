"""The audit on a labelled set: cheats are found, and honest work is not accused of anything."""

import pytest

from tests.scoring.audit.labelled import CHEATS, HONEST, Case

named = {"ids": lambda case: case.name}


@pytest.mark.parametrize("case", HONEST, **named)
def test_honest_work_is_worth_a_note_at_most(case: Case) -> None:
    assert [one for one in case.look() if one.grade != "note"] == []


def test_nine_of_ten_cheats_are_worth_more_than_a_note() -> None:
    missed = [case.name for case in CHEATS if all(one.grade == "note" for one in case.look())]
    assert len(missed) <= 0.1 * len(CHEATS), missed


def test_every_accusation_says_where_to_look() -> None:
    for finding in (one for case in CHEATS for one in case.look()):
        assert finding.evidence and finding.words and finding.researcher == "eve"


def test_the_set_is_large_enough_to_mean_something() -> None:
    assert len({case.name for case in CHEATS}) == len(CHEATS) >= 25
    assert len({case.name for case in HONEST}) == len(HONEST) >= 35
