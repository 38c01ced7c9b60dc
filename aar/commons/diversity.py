"""How different the methods are that researchers try: families of methods, and the entropy over them.

The family of a result is named by whoever posts it. Entropy in bits: 0 when all results are of one family, log2(n)
when n families have equally many.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from aar.commons.foreign import Foreign
from aar.commons.forum import NamedFamily
from aar.commons.quoting import quoted_line

FAMILY_CHARACTERS = 40
SHOWN = 12


@dataclass(frozen=True)
class Step:
    """After so many results with a family: when the last of them was posted, and the entropy over all in bits."""

    results: int
    time: float
    entropy: float


def family_of(text: str | None) -> str | None:
    """A family's name in its one spelling: lower case, words joined by "-"; None when there is none."""
    words = "".join(letter if letter.isalnum() else " " for letter in (text or "").lower()).split()
    return "-".join(words)[:FAMILY_CHARACTERS] or None


def families(named: Iterable[NamedFamily]) -> Counter[str]:
    """How many results there are of each family."""
    return Counter(name for one in named if (name := family_of(one.family.words)))


def entropy(counts: Counter[str]) -> float:
    """Shannon's entropy in bits."""
    total = counts.total()
    return sum(-count / total * math.log2(count / total) for count in counts.values()) + 0.0


class DiversityHistory:
    """The families of a growing list of results, and the entropy over them after each.

    Attributes:
        counts: results by family.
        steps: the entropy after each result, oldest first.
        last: the post of the last result that was added; 0 before the first.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.steps: list[Step] = []
        self.last = 0
        self._weighted = 0.0

    def add(self, named: Iterable[NamedFamily]) -> None:
        """Add results that are newer than those before."""
        for result in named:
            self.last = result.post
            if name := family_of(result.family.words):
                self._count(name)
                total = len(self.steps) + 1
                # Shannon's sum, rearranged: each result changes one term, however many families there are.
                bits = max(0.0, math.log2(total) - self._weighted / total)
                self.steps.append(Step(total, result.time, bits))

    def _count(self, name: str) -> None:
        count = self.counts[name]
        self.counts[name] = count + 1
        self._weighted += _weight(count + 1) - _weight(count)


def _weight(count: int) -> float:
    return count * math.log2(count) if count else 0.0


def diversity_words(named: Iterable[NamedFamily]) -> str:
    """Families so far, for researchers and people; their names, which authors choose, as quotations."""
    counts = families(named)
    if not counts:
        return "No result names a family of methods yet."
    shown = ", ".join(f"{quoted_line(Foreign(name))} ({count})" for name, count in counts.most_common(SHOWN))
    return f"Families of methods so far: {shown}; entropy {entropy(counts):.2f} bits over {counts.total()} results."
