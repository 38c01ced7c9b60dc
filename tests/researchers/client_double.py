"""A campaign in one process: the real forum and code store, and experiments that end on command or at once."""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from aar.commons.code_store import CodeStore, Snapshot, files_digest
from aar.commons.foreign import Foreign
from aar.commons.forum import Forum, Kind, Links, NamedFamily, Post
from aar.config import PLATFORM
from aar.errors import MethodError, ScoringError
from aar.models.recipe import Recipe
from aar.problems.dataset import Preference
from aar.sandbox.decoys import decoys
from aar.scoring.records import VANILLA, Experiment, Score, TrainingData
from tests.keys import KEY
from tests.methods.lab_double import LabDouble, run_method

SCORE = Score(0.85, 0.6, 0.4, 0.8)
REFERENCE = Experiment("e0", PLATFORM, "0" * 40, ("data",), Foreign(VANILLA), (1, 2), "scored", SCORE, None, 0.0, 1.0)
EXPERIMENTS_EACH = 3
Evaluate = Callable[[str], Score | None]
"""Scores a method's source. None: no significant improvement. Raises MethodError where the method failed."""


def evaluate_on_lab(source: str) -> Score:
    """Run a method on two seeds of the lab double; PGR between the teacher's accuracy and 0.97."""
    labs = [LabDouble(seed=seed, size=200) for seed in range(2)]
    accuracies = tuple(lab.accuracy(run_method(source, lab)) for lab in labs)
    pgr = (float(np.mean(accuracies)) - 0.7) / 0.27
    return Score(float(np.mean(accuracies)), pgr, pgr - 0.1, pgr + 0.1)


def evaluate_by_digest(source: str) -> Score:
    """A score that depends on the source alone, at once."""
    pgr = hashlib.sha256(source.encode()).digest()[0] / 255
    return Score(0.7 + 0.27 * pgr, pgr, pgr - 0.1, pgr + 0.1)


class CodeInMemory:
    """A code store of dictionaries, for tests with thousands of snapshots; equal calls give equal ids."""

    def __init__(self) -> None:
        self._snapshots: dict[str, Snapshot] = {}
        self._files: dict[str, dict[str, bytes]] = {}
        self._keys: dict[str, str] = {}

    def publish(
        self, author: str, files: Mapping[str, bytes], message: str, parent: str | None, *, key: str
    ) -> Snapshot:
        assert parent is None or parent in self._snapshots
        id = hashlib.sha1(f"{parent}{sorted(files.items())}".encode()).hexdigest()
        assert self._keys.setdefault(key, id) == id, "a key was used for another content"
        self._files[id] = dict(files)
        return self._snapshots.setdefault(
            id, Snapshot(id=id, author=author, parent=parent, message=Foreign(message), time=0.0)
        )

    def checkout(self, snapshot: str) -> dict[str, bytes]:
        return self._files[snapshot]

    def snapshot(self, snapshot: str) -> Snapshot:
        return self._snapshots[snapshot]

    def log(self) -> list[Snapshot]:
        return list(self._snapshots.values())


@dataclass
class Campaign:
    """What outlives a researcher's process. `instant`: experiments are scored as soon as they are started."""

    folder: Path
    instant: bool = True
    evaluate: Evaluate = lambda _: SCORE
    experiments_each: int = EXPERIMENTS_EACH
    page: int = 50
    code: Any = None
    vanilla: Score | None = None
    started: dict[str, Experiment] = field(default_factory=dict)
    checked: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.code = self.code or CodeStore(self.folder / "code.git")
        self._threads = threading.local()

    @property
    def forum(self) -> Forum:
        """The forum, for the thread that asks."""
        if not hasattr(self._threads, "forum"):
            self._threads.forum = Forum(self.folder / "forum.sqlite")
        forum: Forum = self._threads.forum
        return forum

    def finish(self, id: str, score: Score | None = SCORE, failure: str | None = None) -> Experiment:
        key, record = next((key, record) for key, record in self.started.items() if record.id == id)
        status = "scored" if failure is None else "failed"
        error = None if failure is None else Foreign(failure)
        self.started[key] = replace(record, status=status, score=score, failure=error, ended=time.time())  # type: ignore[arg-type]
        return self.started[key]

    def withhold_score(self, id: str) -> None:
        """Turn an experiment into one that was scored without a release."""
        key, record = next((key, record) for key, record in self.started.items() if record.id == id)
        self.started[key] = replace(record, score=None)

    def run(self, id: str) -> None:
        """End an experiment as its method deserves."""
        snapshot = next(record.snapshot for record in self.started.values() if record.id == id)
        try:
            self.finish(id, self.evaluate(self.code.checkout(snapshot)["method.py"].decode()))
        except MethodError as error:
            self.finish(id, None, str(error))

    def posts(self, kind: Kind | None = None, author: str | None = None) -> list[Post]:
        return self.forum.posts(kind=kind, author=author, limit=500)

    def client(self, name: str) -> "ClientDouble":
        return ClientDouble(self, name)


@dataclass
class ClientDouble:
    campaign: Campaign
    name: str

    def posts(self, kind: Kind | None = None, author: str | None = None, after: int = 0, **more: Any) -> list[Post]:
        return self.campaign.forum.posts(kind, author, after, **{"limit": self.campaign.page, **more})

    def named_families(self) -> list[NamedFamily]:
        return self.campaign.forum.named_families()

    def get_post(self, post: int) -> Post:
        return self.campaign.forum.get(post)

    def replies(self, post: int) -> list[Post]:
        return self.campaign.forum.replies(post)

    def search_posts(self, query: str, limit: int) -> list[Post]:
        return self.campaign.forum.search(query, limit)

    def post(self, kind: Kind, title: str, body: str, *, key: str, **links: Unpack[Links]) -> Post:
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

    def submit(self, files: Mapping[str, bytes], note: str, parent: str | None, *, key: str) -> Experiment:
        digest = files_digest(files)
        return self.start(self.publish(files, note, parent, key=f"{key}/publish/{digest}").id, note, key=key)

    def start(self, snapshot: str, note: str, *, key: str) -> Experiment:
        if key not in self.campaign.started:
            id = f"e{len(self.campaign.started) + 1}"
            running = Experiment(
                id, self.name, snapshot, ("data",), Foreign(note), (1, 2), "running", None, None, time.time(), None
            )
            self.campaign.started[key] = running
            if self.campaign.instant:
                self.campaign.run(id)
        return self.campaign.started[key]

    def wait(self, experiment: str, seconds: float | None = None) -> Experiment:
        until = time.monotonic() + (seconds or 0.0)
        while (record := self.experiment(experiment)).status == "running" and time.monotonic() < until:
            time.sleep(0.01)
        return record

    def experiment(self, experiment: str) -> Experiment:
        for record in self.experiments():
            if record.id == experiment:
                return record
        raise ScoringError(f"there is no experiment {experiment}")

    def experiments(self) -> list[Experiment]:
        vanilla = self.campaign.vanilla
        reference = [] if vanilla is None else [replace(REFERENCE, score=vanilla)]
        return [*reference, *self.campaign.started.values()]

    def experiments_left(self) -> int:
        mine = [record for record in self.campaign.started.values() if record.researcher == self.name]
        return self.campaign.experiments_each - len(mine)

    def experiment_log(self, experiment: str) -> str:
        return f"seed 1:\nprinted by {experiment}\n"

    def cancel_experiment(self, experiment: str) -> Experiment:
        return self.campaign.finish(experiment, None, "cancelled by its researcher")

    def check(self, source: bytes) -> str:
        self.campaign.checked.append(source)
        return f"works: {hashlib.sha256(source).hexdigest()[:8]}"

    def decoys(self) -> dict[str, bytes]:
        return decoys(KEY, self.name)

    def training_data(self) -> TrainingData:
        examples = tuple(Preference("", f"first {row}", f"second {row}") for row in range(4))
        return TrainingData("preference", examples, np.full((4, 2), 0.5, np.float32), Recipe())
