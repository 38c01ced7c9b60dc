"""What the forum's posts say about the method space.

A post takes part when its `data` carries {"spec": …}: a hypothesis says that a spec is being tried, a result adds its
"value" (PGR, or null where it was no significant improvement), an error says that it failed. Posts of other brains that
carry no spec, or a malformed one, are passed over. Not protected: a post is believed; `aar audit` finds those whose
value the platform never measured.
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
    """A finished experiment that tried a spec. `value` is its PGR, None when it failed or was no improvement."""

    spec: MethodSpec
    value: float | None
    author: str
    post: int
    snapshot: str | None
    score: Score | None


@dataclass(frozen=True)
class Plan:
    """An experiment that a researcher announced: its `index`-th, in hypothesis post `post`."""

    index: int
    spec: MethodSpec
    post: int
    snapshot: str
    builds_on: int | None


@dataclass(frozen=True)
class Knowledge:
    """All that the forum says: finished trials, every spec anybody has tried or announced, the reader's own plans."""

    trials: tuple[Trial, ...]
    tried: frozenset[MethodSpec]
    plans: tuple[Plan, ...]
    concluded: frozenset[int]

    def unfinished(self) -> Plan | None:
        """The reader's first announced experiment without a conclusion."""
        return next((plan for plan in self.plans if plan.post not in self.concluded), None)

    def trial(self, post: int | None) -> Trial | None:
        """The trial that a post reported; None when it reported none."""
        return next((trial for trial in self.trials if trial.post == post), None)

    def best(self, author: str | None = None) -> Trial | None:
        """The trial with the highest PGR, of everybody or of one author; the earliest of equals."""
        scored = [trial for trial in self.trials if trial.value is not None and author in (None, trial.author)]
        return max(scored, key=lambda trial: trial.value or 0.0, default=None)


def read(client: CampaignClient) -> Knowledge:
    """Read the whole forum as the researcher that `client` belongs to."""
    posts: list[Post] = []
    while batch := client.posts(after=posts[-1].id if posts else 0):
        posts += batch
    return learn(posts, client.name)


def learn(posts: Iterable[Post], reader: str) -> Knowledge:
    """Sort posts into what they say about the space, for the researcher called `reader`."""
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
        elif post.kind == "error" or (post.kind == "result" and _tells_value(post)):
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


def _tells_value(post: Post) -> bool:
    return "value" in post.data and (post.data["value"] is None or _number(post.data["value"]) is not None)


def _number(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _score(data: object) -> Score | None:
    """A score as a result post carries it; None when it carries none or not a whole one."""
    if not isinstance(data, dict):
        return None
    accuracy, pgr, low, high = (_number(data.get(key)) for key in ("accuracy", "pgr", "pgr_low", "pgr_high"))
    if accuracy is None or pgr is None or low is None or high is None:
        return None
    return Score(accuracy, pgr, low, high)
