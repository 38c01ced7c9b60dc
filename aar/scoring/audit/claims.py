"""A badge for every number that a post claims: verified, measured, or claimed.

A number that is called a PGR or an accuracy is looked up in what the platform released. Digits decide how exactly it
has to agree: 0.93 agrees with 0.9264. A number that nobody measured is "claimed", whoever wrote it.

Not covered: numbers in words, or without a name; whether the number belongs to what the post says it belongs to.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from aar.commons.posts import Post
from aar.scoring.audit.findings import Finding
from aar.scoring.records import Baselines, DatasetScore, DatasetVerification, Experiment, Score, Verification
from aar.scoring.uncertainty import Estimate

Badge = Literal["verified", "measured", "claimed"]
Measure = Literal["pgr", "accuracy"]
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
    """Every PGR and every accuracy that the platform has told."""

    verified: Mapping[Measure, tuple[float, ...]]
    measured: Mapping[Measure, tuple[float, ...]]

    @classmethod
    def of(
        cls, experiments: Iterable[Experiment], baselines: Iterable[Baselines], verifications: Iterable[Verification]
    ) -> "Known":
        """From what the scorebook holds."""
        released = [one.score for one in experiments if one.score is not None]
        scores: list[Score | DatasetScore] = [*released, *(part for score in released for part in score.by_dataset)]
        ends = [end.value for one in baselines for end in (one.weak, one.ceiling)]
        verified = list(verifications)
        parts = [part for one in verified for part in one.datasets]
        return cls(
            verified={
                "pgr": tuple(one.value for one in _pgrs(verified)),
                "accuracy": tuple(each.value for one in parts for each in _accuracies(one)),
            },
            measured={
                "pgr": tuple(score.pgr for score in scores),
                "accuracy": (*(score.accuracy for score in scores), *ends),
            },
        )

    def badge(self, measure: Measure, value: float, decimals: int) -> Badge:
        """The badge of a number that was given with so many decimals."""
        tolerance = 0.5 * 10.0**-decimals + 1e-9
        if any(abs(value - known) <= tolerance for known in self.verified[measure]):
            return "verified"
        return "measured" if any(abs(value - known) <= tolerance for known in self.measured[measure]) else "claimed"


NOTHING_KNOWN = Known({"pgr": (), "accuracy": ()}, {"pgr": (), "accuracy": ()})


def badges(text: str, known: Known) -> list[Badged]:
    """The numbers that a text claims, in its order."""
    found = []
    for match in NUMBER.finditer(text):
        number = match["number"].replace("−", "-")
        decimals = len(number.partition(".")[2])
        value = float(number)
        if match["percent"]:
            value, decimals = value / 100, decimals + 2
        measure: Measure = "accuracy" if match["what"].lower().startswith("acc") else "pgr"
        badge = known.badge(measure, value, decimals)
        found.append(Badged(match["what"], number + (match["percent"] or "").strip(), badge))
    return found


def unbacked(posts: Sequence[Post], known: Known) -> list[Finding]:
    """Result posts that give a number which the ledger does not have."""
    return [finding for post in posts if post.kind == "result" for finding in _unbacked(post, known)]


def _unbacked(post: Post, known: Known) -> list[Finding]:
    found = badges(f"{post.title}\n{post.body}", known)
    claimed = [f"{one.what} {one.number}" for one in found if one.badge == "claimed"]
    value = post.data.get("value")
    if isinstance(value, int | float) and math.isfinite(value) and known.badge("pgr", value, 6) == "claimed":
        claimed.append(f"value {value}")
    if not claimed:
        return []
    rows = (post.experiment,) if post.experiment else ()
    words = f"post {post.id} reports a result that the platform never measured"
    return [Finding("unbacked claim", post.author, rows, words, "; ".join(dict.fromkeys(claimed)))]


def _pgrs(verifications: Iterable[Verification]) -> Iterator[Estimate]:
    for one in verifications:
        yield one.pgr
        yield from (part.pgr for part in one.datasets)
        if one.fair_pgr is not None:
            yield one.fair_pgr


def _accuracies(part: DatasetVerification) -> tuple[Estimate, ...]:
    return part.weak, part.vanilla, part.accuracy, part.ceiling
