"""A campaign in one process: the real forum, a code store of dictionaries, and experiments by a plain function."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aar.commons.forum import Forum, Kind, Post
from aar.errors import AarError
from aar.methods import builtin_source
from aar.researchers.agent_tools import Result
from aar.scoring.records import Score
from tests.methods.lab_double import LabDouble, run_method

Evaluate = Callable[[str], Score | None]
"""None: no significant improvement."""


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


@dataclass
class Campaign:
    """What outlives a researcher's process."""

    folder: Path
    evaluate: Evaluate = evaluate_by_digest
    experiments_each: int = 3
    snapshots: dict[str, tuple[str | None, str]] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.forum = Forum(self.folder / "forum.sqlite")
        self.vanilla: Score | None = self.evaluate(builtin_source("vanilla"))

    def tools(self, name: str, direction_name: str) -> "ToolsDouble":
        return ToolsDouble(self, name, direction_name)

    def posts(self, kind: Kind | None = None, author: str | None = None) -> list[Post]:
        return self.forum.posts(kind=kind, author=author, limit=500)


@dataclass
class ToolsDouble:
    campaign: Campaign
    name: str
    direction_name: str
    direction: str = "a direction"
    said: list[str] = field(default_factory=list)

    def read_posts(self, after: int = 0) -> list[Post]:
        return self.campaign.forum.posts(after=after, limit=3)

    def post(self, kind: Kind, title: str, body: str, **more: Any) -> Post:
        return self.campaign.forum.post(self.name, kind, title, body, **more)

    def publish(self, files: Mapping[str, bytes], message: str, parent: str | None, key: str) -> str:
        assert parent is None or parent in self.campaign.snapshots
        source = files["method.py"].decode()
        snapshot = hashlib.sha1(f"{parent}{source}".encode()).hexdigest()
        assert self.campaign.answers.setdefault(key, snapshot) == snapshot, "a key was used for another content"
        self.campaign.snapshots[snapshot] = (parent, source)
        return snapshot

    def run_experiment(self, snapshot: str, note: str, key: str) -> Result:
        if key not in self.campaign.answers:
            self.campaign.started.append(key)
            self.campaign.answers[key] = self._run(snapshot, f"experiment-{len(self.campaign.started)}")
        result: Result = self.campaign.answers[key]
        return result

    def _run(self, snapshot: str, experiment: str) -> Result:
        try:
            return Result(experiment, self.campaign.evaluate(self.campaign.snapshots[snapshot][1]), None)
        except AarError as error:
            return Result(experiment, None, str(error))

    def reference(self) -> Score | None:
        return self.campaign.vanilla

    def experiments_left(self) -> int:
        own = [key for key in self.campaign.started if key.startswith(f"{self.name}/")]
        return self.campaign.experiments_each - len(own)

    def set_status(self, status: str) -> None:
        self.said.append(status)
