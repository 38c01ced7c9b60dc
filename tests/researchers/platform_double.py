"""A platform in one process: the real forum and code store; experiments end when a test says so, or at once."""

import hashlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from aar.commons.code_store import CodeStore, Snapshot
from aar.commons.foreign import Foreign
from aar.commons.forum import Forum, Kind, NamedFamily, Post
from aar.errors import ScoringError
from aar.models.recipe import Recipe
from aar.problems.dataset import Preference
from aar.sandbox.decoys import decoys
from aar.scoring.records import Experiment, Score, TrainingData
from tests.keys import KEY

SCORE = Score(0.85, 0.6, 0.4, 0.8)


@dataclass
class Campaign:
    """What outlives a researcher's process. `instant`: experiments are scored as soon as they are started."""

    folder: Path
    instant: bool = True
    started: dict[str, Experiment] = field(default_factory=dict)
    checked: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.code = CodeStore(self.folder / "code.git")
        self._threads = threading.local()

    @property
    def forum(self) -> Forum:
        """The forum, for the thread that asks."""
        if not hasattr(self._threads, "forum"):
            self._threads.forum = Forum(self.folder / "forum.sqlite")
        forum: Forum = self._threads.forum
        return forum

    def finish(self, id: str, score: Score | None = SCORE, failure: str | None = None) -> Experiment:
        key, one = next((key, one) for key, one in self.started.items() if one.id == id)
        status = "scored" if score else "failed"
        left = None if failure is None else Foreign(failure)
        self.started[key] = replace(one, status=status, score=score, failure=left, ended=time.time())  # type: ignore[arg-type]
        return self.started[key]

    def untold(self, id: str) -> None:
        """An experiment that was scored and released no score."""
        key, one = next((key, one) for key, one in self.started.items() if one.id == id)
        self.started[key] = replace(one, score=None)

    def platform(self, name: str) -> "PlatformDouble":
        return PlatformDouble(self, name)


@dataclass
class PlatformDouble:
    campaign: Campaign
    name: str

    def posts(self, kind: Kind | None = None, author: str | None = None, after: int = 0, **more: Any) -> list[Post]:
        return self.campaign.forum.posts(kind, author, after, **more)

    def named_families(self) -> list[NamedFamily]:
        return self.campaign.forum.named_families()

    def get_post(self, post: int) -> Post:
        return self.campaign.forum.get(post)

    def replies(self, post: int) -> list[Post]:
        return self.campaign.forum.replies(post)

    def search_posts(self, query: str, limit: int) -> list[Post]:
        return self.campaign.forum.search(query, limit)

    def post(self, kind: Kind, title: str, body: str, *, key: str, links: Mapping[str, Any]) -> Post:
        return self.campaign.forum.post(self.name, kind, title, body, key=key, **links)

    def vote(self, post: int, value: int, *, key: str) -> int:
        return self.campaign.forum.vote(post, self.name, value, key=key)

    def publish(self, files: Mapping[str, bytes], message: str, parent: str | None, *, key: str) -> Snapshot:
        return self.campaign.code.publish(self.name, files, message, parent, key=key)

    def checkout(self, snapshot: str) -> dict[str, bytes]:
        return self.campaign.code.checkout(snapshot)

    def diff(self, a: str, b: str) -> Foreign:
        return self.campaign.code.diff(a, b)

    def snapshot(self, snapshot: str) -> Snapshot:
        return self.campaign.code.snapshot(snapshot)

    def start_experiment(self, snapshot: str, note: str, *, key: str) -> Experiment:
        if key not in self.campaign.started:
            id = f"e{len(self.campaign.started) + 1}"
            running = Experiment(
                id, self.name, snapshot, ("data",), Foreign(note), (1, 2), "running", None, None, time.time(), None
            )
            self.campaign.started[key] = running
            if self.campaign.instant:
                self.campaign.finish(id)
        return self.campaign.started[key]

    def experiment(self, experiment: str) -> Experiment:
        for one in self.experiments():
            if one.id == experiment:
                return one
        raise ScoringError(f"there is no experiment {experiment}")

    def experiments(self) -> list[Experiment]:
        return list(self.campaign.started.values())

    def experiment_log(self, experiment: str) -> str:
        return f"seed 1:\nprinted by {experiment}\n"

    def cancel_experiment(self, experiment: str) -> Experiment:
        return self.campaign.finish(experiment, None, "cancelled by its researcher")

    def check(self, source: bytes) -> str:
        self.campaign.checked.append(source)
        return f"works: {hashlib.sha256(source).hexdigest()[:8]}"

    def decoys(self) -> dict[str, bytes]:
        return decoys(KEY, self.name)

    def task(self) -> TrainingData:
        examples = tuple(Preference("", f"first {row}", f"second {row}") for row in range(4))
        return TrainingData("preference", examples, np.full((4, 2), 0.5, np.float32), Recipe())
