"""The real tools: one researcher's access to commons, scorer and experiments. Implements Tools.

The researcher's name is set here, by the platform; a brain cannot act in another's name.
"""

import logging
from collections.abc import Mapping
from typing import Any

from aar.commons.posts import Kind, Post
from aar.config import CampaignConfig, ResearcherConfig
from aar.remote import COMMONS, EXPERIMENTS, SCORER, named, result
from aar.researchers.directions import read_direction
from aar.researchers.tools import Result
from aar.scoring.records import PLATFORM, VANILLA, Experiment, Score

log = logging.getLogger(__name__)


class Toolbox:
    """The tools of one researcher."""

    def __init__(self, researcher: ResearcherConfig, config: CampaignConfig) -> None:
        """Raises ConfigError when the direction cannot be read."""
        self.name = researcher.name
        self.direction_name, self.direction = read_direction(researcher.direction)
        self.activity = "starting"
        self._config = config
        self._commons, self._scorer = named(COMMONS), named(SCORER)

    def read_posts(self, after: int = 0) -> list[Post]:
        posts: list[Post] = result(self._commons.posts.remote(after=after))
        return posts

    def post(
        self,
        kind: Kind,
        title: str,
        body: str,
        *,
        experiment: str | None = None,
        snapshot: str | None = None,
        reply_to: int | None = None,
        data: Mapping[str, Any] | None = None,
        key: str,
    ) -> Post:
        links = {"experiment": experiment, "snapshot": snapshot, "reply_to": reply_to, "data": dict(data or {})}
        post: Post = result(self._commons.post.remote(self.name, kind, title, body, key=key, **links))
        return post

    def publish(self, files: Mapping[str, bytes], message: str, parent: str | None, key: str) -> str:
        snapshot = result(self._commons.publish.remote(self.name, dict(files), message, parent, key=key))
        snapshot_id: str = snapshot.id
        return snapshot_id

    def run_experiment(self, snapshot: str, note: str, key: str) -> Result:
        record: Experiment = result(self._scorer.admit.remote(self.name, snapshot, note, key))
        if record.status == "running":
            record = result(named(EXPERIMENTS).run.remote(record))
        return Result(record.id, record.score, record.failure)

    def reference(self) -> Score | None:
        experiments: list[Experiment] = result(self._scorer.experiments.remote())
        scores = [one.score for one in experiments if (one.researcher, one.note) == (PLATFORM, VANILLA)]
        return scores[0] if scores else None

    def experiments_left(self) -> int:
        left: int = result(self._scorer.experiments_left.remote(self.name))
        return left

    def say(self, activity: str) -> None:
        self.activity = activity
        log.info("%s", activity)
