"""Diversity of the methods that researchers try: families of methods, and the entropy over them.

The author of a result names its family. Entropy in bits: 0 when all results are of one family, log2(n) when n families
have equally many.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from aar.commons.foreign import Foreign
from aar.commons.forum import NamedFamily
from aar.commons.quoting import quoted_line

FAMILY_CHARACTERS = 40
LISTED = 12


@dataclass(frozen=True)
class Step:
    """The entropy in bits over the first `results` results with a family, and when the last of these was posted."""

    results: int
    time: float
    entropy: float


def family_of(text: str | None) -> str | None:
    """Return a family's name in canonical spelling: lower case, words joined by "-"; None when there is no name."""
    words = "".join(letter if letter.isalnum() else " " for letter in (text or "").lower()).split()
    return "-".join(words)[:FAMILY_CHARACTERS] or None


def families(named: Iterable[NamedFamily]) -> Counter[str]:
    """Count the results of each family."""
    return Counter(name for result in named if (name := family_of(result.family.text)))


def entropy(counts: Counter[str]) -> float:
    """Return Shannon's entropy in bits."""
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
            if name := family_of(result.family.text):
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


def format_diversity(named: Iterable[NamedFamily]) -> str:
    """Return the families so far as text; authors choose the names, so they are quoted."""
    counts = families(named)
    if not counts:
        return "No result names a family of methods yet."
    largest = ", ".join(f"{quoted_line(Foreign(name))} ({count})" for name, count in counts.most_common(LISTED))
    return f"Families of methods so far: {largest}; entropy {entropy(counts):.2f} bits over {counts.total()} results."
