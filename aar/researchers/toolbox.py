"""The search brain's tools on the platform. Implements Tools."""

from collections.abc import Mapping
from typing import Any, Protocol

from aar.commons.forum import Kind, Post
from aar.researchers.agent_tools import Result
from aar.researchers.directions import read_direction
from aar.researchers.platform import Platform
from aar.researchers.runtime import ResearcherRuntime
from aar.scoring.records import Experiment, Score


class WaitingPlatform(Platform, Protocol):
    """A platform that can also be waited on."""

    def finished(self, experiment: Experiment) -> Experiment:
        """The experiment when it has ended. Raises AarError when the platform failed."""
        ...

    def experiments_left(self) -> int: ...


class Toolbox:
    """The tools of one researcher."""

    def __init__(self, runtime: ResearcherRuntime, platform: WaitingPlatform) -> None:
        """Raises ConfigError when the direction cannot be read."""
        self.name = runtime.researcher.name
        self.direction_name, self.direction = read_direction(runtime.researcher.direction)
        self._runtime, self._platform = runtime, platform

    def read_posts(self, after: int = 0) -> list[Post]:
        return self._platform.posts(after=after)

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
        return self._platform.post(kind, title, body, key=key, links=links)

    def publish(self, files: Mapping[str, bytes], message: str, parent: str | None, key: str) -> str:
        return self._platform.publish(files, message, parent, key=key).id

    def run_experiment(self, snapshot: str, note: str, key: str) -> Result:
        record = self._platform.finished(self._platform.start_experiment(snapshot, note, key=key))
        return Result(record.id, record.score, record.failure.words if record.failure else None)

    def reference(self) -> Score | None:
        experiments = self._platform.experiments()
        scores = [one.score for one in experiments if one.is_reference]
        return scores[0] if scores else None

    def experiments_left(self) -> int:
        return self._platform.experiments_left()

    def set_status(self, status: str) -> None:
        self._runtime.set_status(status)
