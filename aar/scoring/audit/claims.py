"""A badge for every number that a post claims: verified, measured, or claimed.

A number that is called a PGR or an accuracy is looked up in the scores that the platform released. Its digits determine
how exactly it must agree: 0.93 agrees with 0.9264. A number that was not measured is "claimed", whoever wrote it.

An audit is stricter: it takes a number for a claim only where the text ties it to the score that it names, and not to a
gap, a difference, a threshold, a hope, a probe's agreement with weak labels or the like.

Not covered: numbers in words, or without a name; whether a number belongs to the experiment that the post names.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from aar.commons.forum import Post
from aar.scoring.audit import Finding, Grade, gravest
from aar.scoring.records import Baselines, DatasetScore, DatasetVerification, Experiment, Score, Verification
from aar.scoring.stats.uncertainty import Estimate

Badge = Literal["verified", "measured", "claimed"]
Metric = Literal["pgr", "accuracy"]
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
"""Text that may appear between a score's name and its number where the number is the score."""
OTHERWISE = re.compile(
    r"gap|differ|margin|gain|lead|drop|loss|lose|improve|increas|decreas|chang|delta|Δ|deviation|\bstd\b|\bsd\b|interval|error"
    r"|nois|threshold|target|expect|hop[ei]|would|could|should|might|\bif\b|goal|predict|guess|estimat|simulat|cross|fold"
    r"|probe|agree|weak|train|mean|average|between|from|above|below|under|over|than|bound|limit|chance|random|imagin|claim",
    re.IGNORECASE,
)
"""Words around a number that show that it is something else, or that it is not said to be measured."""
AROUND = 40
HIDDEN = re.compile(r"\b(?:dev|test|sealed|hidden|held-out|leaderboard)\b", re.IGNORECASE)


@dataclass(frozen=True)
class BadgedNumber:
    """A number as written in a post, the name of its score, and its badge.

    `is_claim`: the text ties the number to the score that it names.
    """

    what: str
    number: str
    badge: Badge
    is_claim: bool = True


@dataclass(frozen=True)
class KnownScores:
    """Every PGR and every accuracy that the platform has released."""

    verified: Mapping[Metric, tuple[float, ...]]
    measured: Mapping[Metric, tuple[float, ...]]

    @classmethod
    def of(
        cls, experiments: Iterable[Experiment], baselines: Iterable[Baselines], verifications: Iterable[Verification]
    ) -> "KnownScores":
        """Collect them from the records in the score store."""
        released = [experiment.score for experiment in experiments if experiment.score is not None]
        scores: list[Score | DatasetScore] = [*released, *(score for total in released for score in total.by_dataset)]
        ends = [end.value for baseline in baselines for end in (baseline.weak, baseline.ceiling)]
        verified = list(verifications)
        datasets = [dataset for verification in verified for dataset in verification.datasets]
        return cls(
            verified={
                "pgr": tuple(estimate.value for estimate in _pgrs(verified)),
                "accuracy": tuple(estimate.value for dataset in datasets for estimate in _accuracies(dataset)),
            },
            measured={
                "pgr": tuple(score.pgr for score in scores),
                "accuracy": (*(score.accuracy for score in scores), *ends),
            },
        )

    def badge(self, metric: Metric, value: float, decimals: int) -> Badge:
        """Return the badge of a number that was written with `decimals` decimals."""
        tolerance = 0.5 * 10.0**-decimals + 1e-9
        if any(abs(value - score) <= tolerance for score in self.verified[metric]):
            return "verified"
        return "measured" if any(abs(value - score) <= tolerance for score in self.measured[metric]) else "claimed"


NO_SCORES = KnownScores({"pgr": (), "accuracy": ()}, {"pgr": (), "accuracy": ()})


def badges(text: str, known: KnownScores) -> list[BadgedNumber]:
    """Return the numbers that a text claims, in its order."""
    numbers = []
    for match in NUMBER.finditer(text):
        number = match["number"].replace("−", "-")
        decimals = len(number.partition(".")[2])
        value = float(number)
        if match["percent"]:
            value, decimals = value / 100, decimals + 2
        metric: Metric = "accuracy" if match["what"].lower().startswith("acc") else "pgr"
        badge = known.badge(metric, value, decimals)
        written = number + (match["percent"] or "").strip()
        numbers.append(BadgedNumber(match["what"], written, badge, _ties(text, match, metric)))
    return numbers


def _ties(text: str, match: re.Match[str], metric: Metric) -> bool:
    """True if the text says that the number is the score.

    For an accuracy, the text must also say on which data, because methods compute many accuracies of their own.
    """
    before = re.split(r"[.;!?\n]\s", text[max(0, match.start() - AROUND) : match.start()])[-1]
    between = text[match.end("what") : match.start("number")]
    if OTHERWISE.search(before) or BETWEEN.fullmatch(between) is None:
        return False
    around = before + text[match.start() : match.end() + AROUND // 2]
    return metric == "pgr" or HIDDEN.search(around) is not None


def unbacked(posts: Sequence[Post], known: KnownScores) -> list[Finding]:
    """Return a finding for each result post that names a score which the platform never released."""
    return [finding for post in posts if post.kind == "result" for finding in _unbacked(post, known)]


def _unbacked(post: Post, known: KnownScores) -> list[Finding]:
    numbers = [number for number in badges(f"{post.title.text}\n{post.body.text}", known) if number.badge == "claimed"]
    claimed: dict[str, Grade] = {f"{number.what} {number.number}": _grade(number) for number in numbers}
    value = post.data.get("value")
    if isinstance(value, int | float) and math.isfinite(value) and known.badge("pgr", value, 6) == "claimed":
        claimed[f"value {value}"] = "suspicion"
    if not claimed:
        return []
    rows = (post.experiment,) if post.experiment else ()
    words = f"post {post.id} names a score that the platform never measured"
    return [Finding("unbacked claim", gravest(claimed.values()), post.author, rows, words, "; ".join(claimed))]


def _grade(badged: BadgedNumber) -> Grade:
    return "suspicion" if badged.is_claim else "note"


def _pgrs(verifications: Iterable[Verification]) -> Iterator[Estimate]:
    for verification in verifications:
        yield verification.pgr
        yield from (dataset.pgr for dataset in verification.datasets)
        if verification.recipe_matched_pgr is not None:
            yield verification.recipe_matched_pgr


def _accuracies(dataset: DatasetVerification) -> tuple[Estimate, ...]:
    return dataset.weak, dataset.vanilla, dataset.accuracy, dataset.ceiling
