"""The errors: all of one family, each also what it refines, and none lost on its way through Ray."""

import inspect
import pickle

import pytest

from aar import errors
from aar.errors import AarError, undone_on_error

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__.startswith("aar.")]


@pytest.mark.parametrize("kind", ALL)
def test_every_error_is_aars_and_says_what_it_is(kind: type[AarError]) -> None:
    assert issubclass(kind, AarError)
    assert kind.__doc__


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind is not AarError])
def test_every_error_refines_a_standard_one(kind: type[AarError]) -> None:
    assert issubclass(kind, ValueError | RuntimeError)


@pytest.mark.parametrize("kind", ALL)
def test_an_error_survives_pickling(kind: type[AarError]) -> None:
    again = pickle.loads(pickle.dumps(kind("what happened and what to do")))
    assert (type(again), str(again)) == (kind, "what happened and what to do")


@pytest.mark.parametrize("kind", ALL)
def test_the_text_of_an_error_can_be_encoded_whatever_foreign_text_it_tells_of(kind: type[AarError]) -> None:
    assert str(kind("no post of \ud800 \N{SNOWMAN}")).encode() == b"no post of \\ud800 " + "\N{SNOWMAN}".encode()


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_what_a_block_began_is_undone_when_it_raises_anything(error: BaseException) -> None:
    undone: list[str] = []
    with pytest.raises(type(error)), undone_on_error(lambda: undone.append("undone")):
        raise error
    assert undone == ["undone"]


def test_a_block_that_ends_well_is_not_undone() -> None:
    undone: list[str] = []
    with undone_on_error(lambda: undone.append("undone")):
        pass
    assert undone == []
