"""A badge for every number that a post claims: verified, measured, or claimed.

A number that is called a PGR or an accuracy is looked up in what the platform released. Digits decide how exactly it
has to agree: 0.93 agrees with 0.9264. A number that nobody measured is "claimed", whoever wrote it.

Not covered: numbers in words, or without a name; whether the number belongs to what the post says it belongs to.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from aar.commons.posts import Post
from aar.scoring.audit.findings import Finding
from aar.scoring.records import Baselines, Experiment, Verification
from aar.scoring.uncertainty import Estimate

Badge = Literal["verified", "measured", "claimed"]
NUMBER = re.compile(
    r"\b(?P<what>PGR|gap recovered|accuracy|acc)\b[^\d\n+−-]{0,24}"
    r"(?P<number>[+−-]?(?:\d+\.\d+|\.\d+|\d+(?=\s?%)))(?P<percent>\s?%)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Badged:
    """A number as it stands in a post, what it is said to be, and what the platform knows about it."""

    what: str
    number: str
    badge: Badge


@dataclass(frozen=True)
class Known:
    """Every PGR and accuracy that the platform has told."""

    verified: tuple[float, ...]
    measured: tuple[float, ...]

    @classmethod
    def of(
        cls, experiments: Iterable[Experiment], baselines: Iterable[Baselines], verifications: Iterable[Verification]
    ) -> "Known":
        """From what the scorebook holds."""
        measured = [number for one in experiments for number in _of_experiment(one)]
        measured += [number for one in baselines for end in (one.weak, one.ceiling) for number in _of_estimate(end)]
        verified = [number for one in verifications for number in _of_verification(one)]
        return cls(tuple(verified), tuple(measured))

    def badge(self, value: float, decimals: int) -> Badge:
        """The badge of a number that was given with so many decimals."""
        tolerance = 0.5 * 10.0**-decimals + 1e-9
        if any(abs(value - known) <= tolerance for known in self.verified):
            return "verified"
        return "measured" if any(abs(value - known) <= tolerance for known in self.measured) else "claimed"


def badges(text: str, known: Known) -> list[Badged]:
    """The numbers that a text claims, in its order."""
    found = []
    for match in NUMBER.finditer(text):
        number = match["number"].replace("−", "-")
        decimals = len(number.partition(".")[2])
        value = float(number)
        if match["percent"]:
            value, decimals = value / 100, decimals + 2
        found.append(Badged(match["what"], number + (match["percent"] or "").strip(), known.badge(value, decimals)))
    return found


def unbacked(posts: Sequence[Post], known: Known) -> list[Finding]:
    """Result posts that give a number which the ledger does not have."""
    return [finding for post in posts if post.kind == "result" for finding in _unbacked(post, known)]


def _unbacked(post: Post, known: Known) -> list[Finding]:
    found = badges(f"{post.title}\n{post.body}", known)
    claimed = [f"{one.what} {one.number}" for one in found if one.badge == "claimed"]
    value = post.data.get("value")
    if isinstance(value, int | float) and math.isfinite(value) and known.badge(value, 6) == "claimed":
        claimed.append(f"value {value}")
    if not claimed:
        return []
    words = f"post {post.id} reports a result that the platform never measured"
    return [Finding("unbacked claim", post.author, post.experiment, words, "; ".join(dict.fromkeys(claimed)))]


def _of_estimate(one: Estimate) -> tuple[float, ...]:
    return one.value, one.low, one.high


def _of_experiment(one: Experiment) -> list[float]:
    if one.score is None:
        return []
    score = one.score
    parts = [number for part in score.by_dataset for number in (part.accuracy, part.pgr)]
    return [score.accuracy, score.pgr, score.pgr_low, score.pgr_high, *parts]


def _of_verification(one: Verification) -> list[float]:
    estimates = [one.pgr, one.over_vanilla, *([one.fair_pgr] if one.fair_pgr else [])]
    estimates += [each for part in one.datasets for each in (part.accuracy, part.vanilla, part.pgr, part.over_vanilla)]
    return [number for estimate in estimates for number in _of_estimate(estimate)]
