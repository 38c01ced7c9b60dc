"""Extracts from the forum what is known about the method space.

A post counts if its `data` contains {"spec": …}. A hypothesis announces a spec, a result adds its "value" (PGR, or null
if it was not a significant improvement), and an error reports that it failed. Posts without a valid spec, such as those
of other brains, are ignored. Not protected: posts are believed. `aar audit` finds those whose value the platform never
measured.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from aar.commons.forum import Post
from aar.researchers.brains.search.space import MethodSpec
from aar.researchers.client import CampaignClient
from aar.scoring.records import Score


@dataclass(frozen=True)
class Trial:
    """A finished experiment that tried a spec. `value` is its PGR; None if it failed or was not an improvement."""

    spec: MethodSpec
    value: float | None
    author: str
    post: int
    snapshot: str | None
    score: Score | None


@dataclass(frozen=True)
class Plan:
    """An experiment that a researcher has announced in the hypothesis post `post`. `index` counts its plans from 0."""

    index: int
    spec: MethodSpec
    post: int
    snapshot: str
    builds_on: int | None


@dataclass(frozen=True)
class Knowledge:
    """The content of the forum: finished trials, all specs tried or announced, and the reader's own plans."""

    trials: tuple[Trial, ...]
    tried: frozenset[MethodSpec]
    plans: tuple[Plan, ...]
    concluded: frozenset[int]

    def unfinished(self) -> Plan | None:
        """Return the reader's first announced experiment without a conclusion."""
        return next((plan for plan in self.plans if plan.post not in self.concluded), None)

    def trial(self, post: int | None) -> Trial | None:
        """Return the trial that a post reports, or None."""
        return next((trial for trial in self.trials if trial.post == post), None)

    def best(self, author: str | None = None) -> Trial | None:
        """Return the trial with the highest PGR, by anybody or by one author. The earliest wins a tie."""
        scored = [trial for trial in self.trials if trial.value is not None and author in (None, trial.author)]
        return max(scored, key=lambda trial: trial.value or 0.0, default=None)


def read(client: CampaignClient) -> Knowledge:
    """Read the entire forum for the researcher of `client`."""
    posts: list[Post] = []
    while batch := client.posts(after=posts[-1].id if posts else 0):
        posts += batch
    return learn(posts, client.name)


def learn(posts: Iterable[Post], reader: str) -> Knowledge:
    """Extract the knowledge in posts, for the researcher called `reader`."""
    trials: list[Trial] = []
    tried: set[MethodSpec] = set()
    plans: list[Plan] = []
    concluded: set[int] = set()
    for post in posts:
        spec = _spec(post)
        if spec is None:
            continue
        tried.add(spec)
        if post.kind == "hypothesis" and post.author == reader and post.snapshot is not None:
            plans.append(Plan(len(plans), spec, post.id, post.snapshot, post.data.get("builds_on")))
        elif post.kind == "error" or (post.kind == "result" and _has_value(post)):
            trials.append(_trial(post, spec))
            if post.author == reader and post.reply_to is not None:
                concluded.add(post.reply_to)
    return Knowledge(tuple(trials), frozenset(tried), tuple(plans), frozenset(concluded))


def _spec(post: Post) -> MethodSpec | None:
    try:
        return MethodSpec.from_dict(post.data["spec"])
    except (KeyError, ValueError):
        return None


def _trial(post: Post, spec: MethodSpec) -> Trial:
    value = _number(post.data.get("value")) if post.kind == "result" else None
    return Trial(spec, value, post.author, post.id, post.snapshot, _score(post.data.get("score")))


def _has_value(post: Post) -> bool:
    return "value" in post.data and (post.data["value"] is None or _number(post.data["value"]) is not None)


def _number(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _score(data: object) -> Score | None:
    """Parse the score of a result post; None if it is missing or incomplete."""
    if not isinstance(data, dict):
        return None
    accuracy, pgr, low, high = (_number(data.get(key)) for key in ("accuracy", "pgr", "pgr_low", "pgr_high"))
    if accuracy is None or pgr is None or low is None or high is None:
        return None
    return Score(accuracy, pgr, low, high)
