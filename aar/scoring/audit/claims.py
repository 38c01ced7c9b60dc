"""A badge for every number that a post claims: verified, measured, or claimed.

A number that is called a PGR or an accuracy is looked up in what the platform released. Digits decide how exactly it
has to agree: 0.93 agrees with 0.9264. A number that nobody measured is "claimed", whoever wrote it.

An audit asks for more: it takes a number for a claim only where the text ties it to the score that it names, and not
to a gap, a difference, a threshold, a hope, a probe's agreement with weak labels or the like.

Not covered: numbers in words, or without a name; whether the number belongs to what the post says it belongs to.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from aar.commons.forum import Post
from aar.scoring.audit.findings import Finding, Grade, gravest
from aar.scoring.records import Baselines, DatasetScore, DatasetVerification, Experiment, Score, Verification
from aar.scoring.stats.uncertainty import Estimate

Badge = Literal["verified", "measured", "claimed"]
Evaluator = Literal["pgr", "accuracy"]
NUMBER = re.compile(
    r"\b(?P<what>PGR|gap recovered|accuracy|acc)\b[^\d\n+−-]{0,24}"
    r"(?P<number>[+−-]?(?:\d+\.\d+|\.\d+|\d+(?=\s?%)))(?P<percent>\s?%)?",
    re.IGNORECASE,
)
BETWEEN = re.compile(
    r"(?:[\s:=≈~(*_`|,]|\b(?:is|was|of|at|now|about|around|score[sd]?|reach(?:es|ed)?|equals|measured|verified|dev|test|"
    r"sealed|hidden|the|a|on|and|recovered)\b)*",
    re.IGNORECASE,
)
"""What may stand between a score's name and its number where the number is the score."""
OTHERWISE = re.compile(
    r"gap|differ|margin|gain|lead|drop|loss|lose|improve|increas|decreas|chang|delta|Δ|deviation|\bstd\b|\bsd\b|interval|error"
    r"|nois|threshold|target|expect|hop[ei]|would|could|should|might|\bif\b|goal|predict|guess|estimat|simulat|cross|fold"
    r"|probe|agree|weak|train|mean|average|between|from|above|below|under|over|than|bound|limit|chance|random|imagin|claim",
    re.IGNORECASE,
)
"""What the words around a number are like where it is something else, or nobody says that it was measured."""
AROUND = 40
HIDDEN = re.compile(r"\b(?:dev|test|sealed|hidden|held-out|leaderboard)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Badged:
    """A number as it stands in a post, what it is said to be, and what the platform knows about it."""

    what: str
    number: str
    badge: Badge
    is_claim: bool = True
    """Does the text tie the number to the score that it names?"""


@dataclass(frozen=True)
class Known:
    """Every PGR and every accuracy that the platform has told."""

    verified: Mapping[Evaluator, tuple[float, ...]]
    measured: Mapping[Evaluator, tuple[float, ...]]

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

    def badge(self, measure: Evaluator, value: float, decimals: int) -> Badge:
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
        measure: Evaluator = "accuracy" if match["what"].lower().startswith("acc") else "pgr"
        badge = known.badge(measure, value, decimals)
        shown = number + (match["percent"] or "").strip()
        found.append(Badged(match["what"], shown, badge, _ties(text, match, measure)))
    return found


def _ties(text: str, match: re.Match[str], measure: Evaluator) -> bool:
    """Is the number said to be the score? For an accuracy, also on what: methods have many accuracies of their own."""
    before = re.split(r"[.;!?\n]\s", text[max(0, match.start() - AROUND) : match.start()])[-1]
    between = text[match.end("what") : match.start("number")]
    if OTHERWISE.search(before) or BETWEEN.fullmatch(between) is None:
        return False
    around = before + text[match.start() : match.end() + AROUND // 2]
    return measure == "pgr" or HIDDEN.search(around) is not None


def unbacked(posts: Sequence[Post], known: Known) -> list[Finding]:
    """Result posts that give a number which the ledger does not have."""
    return [finding for post in posts if post.kind == "result" for finding in _unbacked(post, known)]


def _unbacked(post: Post, known: Known) -> list[Finding]:
    found = [one for one in badges(f"{post.title.text}\n{post.body.text}", known) if one.badge == "claimed"]
    claimed: dict[str, Grade] = {f"{one.what} {one.number}": _grade(one) for one in found}
    value = post.data.get("value")
    if isinstance(value, int | float) and math.isfinite(value) and known.badge("pgr", value, 6) == "claimed":
        claimed[f"value {value}"] = "suspicion"
    if not claimed:
        return []
    rows = (post.experiment,) if post.experiment else ()
    words = f"post {post.id} names a score that the platform never measured"
    return [Finding("unbacked claim", gravest(claimed.values()), post.author, rows, words, "; ".join(claimed))]


def _grade(badged: Badged) -> Grade:
    return "suspicion" if badged.is_claim else "note"


def _pgrs(verifications: Iterable[Verification]) -> Iterator[Estimate]:
    for one in verifications:
        yield one.pgr
        yield from (part.pgr for part in one.datasets)
        if one.recipe_matched_pgr is not None:
            yield one.recipe_matched_pgr


def _accuracies(part: DatasetVerification) -> tuple[Estimate, ...]:
    return part.weak, part.vanilla, part.accuracy, part.ceiling
