"""Random choices, and the last steps in making a sentence."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from aar.problems.grammar.lexicon import MEN, OPENERS, PEOPLE, WOMEN, Noun

T = TypeVar("T")
Pair = tuple[str, str]
"""The acceptable sentence and the other one."""


class Draw:
    """Makes choices by the numbers in [0, 1) that `uniform` returns, one after the other."""

    def __init__(self, uniform: Callable[[], float]) -> None:
        self._random = uniform

    def one(self, options: Sequence[T]) -> T:
        return options[int(self._random() * len(options))]

    def two(self, options: Sequence[T]) -> tuple[T, T]:
        """Choose two different options."""
        first = int(self._random() * len(options))
        step = 1 + int(self._random() * (len(options) - 1))
        return options[first], options[(first + step) % len(options)]

    def often(self, share: float = 0.5) -> bool:
        """Return True in this share of the calls."""
        return self._random() < share


Phenomenon = Callable[[Draw], Pair]

EVERYONE = PEOPLE + MEN + WOMEN


def number(noun: Noun, plural: bool) -> str:
    return noun.plural if plural else noun.singular


def article(phrase: str) -> str:
    """Return the phrase with "a" or "an" before it."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def someone(draw: Draw, *, plural: bool = False) -> str:
    """ "the lawyer", "the old kings" ..."""
    return f"the {number(draw.one(EVERYONE), plural)}"


def framed(draw: Draw, good: str, bad: str, ending: str = ".") -> Pair:
    """Return both as sentences, a quarter of those that are not questions after the same opening phrase."""
    opener = f"{draw.one(OPENERS)} " if ending == "." and draw.often(0.25) else ""
    return _sentence(opener + good, ending), _sentence(opener + bad, ending)


def _sentence(words: str, ending: str) -> str:
    return words[0].upper() + words[1:] + ending
