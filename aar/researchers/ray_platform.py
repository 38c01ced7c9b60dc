"""The platform as a running campaign offers it to one researcher, through its actors. Implements Platform.

The researcher's name is set here, by whoever runs it; no call can act in another's name.
"""

from collections.abc import Mapping
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from aar.commons.code_store import Snapshot
from aar.commons.foreign import Foreign
from aar.commons.forum import Kind, NamedFamily, Post
from aar.errors import CampaignError, ScoringError
from aar.ray_utils import COMMONS, EXPERIMENTS, SCORER, get, get_actor
from aar.scoring.records import Experiment, TrainingData


class RayPlatform:
    """Commons, scorer and experiments, for the researcher called `name`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._commons, self._scorer, self._experiments = get_actor(COMMONS), get_actor(SCORER), get_actor(EXPERIMENTS)
        self._running: dict[str, Any] = {}

    def resume(self) -> None:
        """Run those of its experiments that an earlier process may have left behind."""
        for one in self.experiments():
            if one.researcher == self._name and one.status == "running":
                self._run(one)

    def posts(
        self,
        kind: Kind | None = None,
        author: str | None = None,
        after: int = 0,
        *,
        newest_first: bool = False,
        limit: int = 50,
    ) -> list[Post]:
        posts: list[Post] = _told(self._commons.posts.remote(kind, author, after, limit, newest_first=newest_first))
        return posts

    def named_families(self) -> list[NamedFamily]:
        named: list[NamedFamily] = _told(self._commons.named_families.remote())
        return named

    def get_post(self, post: int) -> Post:
        found: Post = _told(self._commons.get.remote(post))
        return found

    def replies(self, post: int) -> list[Post]:
        posts: list[Post] = _told(self._commons.replies.remote(post))
        return posts

    def search_posts(self, query: str, limit: int) -> list[Post]:
        posts: list[Post] = _told(self._commons.search.remote(query, limit))
        return posts

    def post(self, kind: Kind, title: str, body: str, *, key: str, links: Mapping[str, Any]) -> Post:
        post: Post = _told(self._commons.post.remote(self._name, kind, title, body, key=key, **links))
        return post

    def vote(self, post: int, value: int, *, key: str) -> int:
        votes: int = _told(self._commons.vote.remote(post, self._name, value, key=key))
        return votes

    def publish(self, files: Mapping[str, bytes], message: str, parent: str | None, *, key: str) -> Snapshot:
        snapshot: Snapshot = _told(self._commons.publish.remote(self._name, dict(files), message, parent, key=key))
        return snapshot

    def checkout(self, snapshot: str) -> dict[str, bytes]:
        files: dict[str, bytes] = _told(self._commons.checkout.remote(snapshot))
        return files

    def diff(self, a: str, b: str) -> Foreign:
        changed: Foreign = _told(self._commons.diff.remote(a, b))
        return changed

    def snapshot(self, snapshot: str) -> Snapshot:
        found: Snapshot = _told(self._commons.snapshot.remote(snapshot))
        return found

    def start_experiment(self, snapshot: str, note: str, *, key: str) -> Experiment:
        experiment: Experiment = _told(self._scorer.admit.remote(self._name, snapshot, note, key))
        self._run(experiment)
        return experiment

    def finished(self, experiment: Experiment) -> Experiment:
        """An experiment that was started, when it has ended."""
        call = self._running.pop(experiment.id, None)
        ended: Experiment = experiment if call is None else _told(call)
        return ended

    def experiments_left(self) -> int:
        """How many experiments the researcher may still start."""
        left: int = _told(self._scorer.experiments_left.remote(self._name))
        return left

    def experiment(self, experiment: str) -> Experiment:
        """Raises, besides, what the platform failed of while it ran one of the researcher's own."""
        self._check_failure(experiment)
        found: Experiment = _told(self._scorer.experiment.remote(experiment))
        if found.verification_of:
            raise ScoringError(f"{experiment} is the platform's own; researchers are told nothing of verifications")
        return found

    def experiments(self) -> list[Experiment]:
        experiments: list[Experiment] = _told(self._scorer.experiments.remote())
        return experiments

    def experiment_log(self, experiment: str) -> str:
        printed: str = _told(self._experiments.log.remote(experiment))
        return printed

    def cancel_experiment(self, experiment: str) -> Experiment:
        ended: Experiment = _told(self._experiments.cancel.remote(experiment))
        return ended

    def check(self, source: bytes) -> str:
        words: str = _told(self._experiments.check.remote(source, self._name))
        return words

    def decoys(self) -> dict[str, bytes]:
        files: dict[str, bytes] = _told(self._scorer.decoys.remote(self._name))
        return files

    def task(self) -> TrainingData:
        reference = next((one for one in self.experiments() if one.is_reference), None)
        if reference is None:
            raise ScoringError("the baselines are not measured yet")
        task: TrainingData = _told(self._scorer.task.remote(reference.id, reference.runs[0]))
        return task

    def _run(self, experiment: Experiment) -> None:
        if experiment.status == "running" and experiment.id not in self._running:
            self._running[experiment.id] = self._experiments.run.remote(experiment)

    def _check_failure(self, experiment: str) -> None:
        call = self._running.get(experiment)
        if call is not None and ray.wait([call], timeout=0)[0]:
            del self._running[experiment]
            _told(call)


def _told(call: Any) -> Any:
    """What a part of the platform answers. Raises CampaignError where that part, or one that it needs, is gone."""
    try:
        return get(call)
    except (RayActorError, RayTaskError) as error:
        gone = error.cause if isinstance(error, RayTaskError) else error
        if isinstance(gone, RayActorError):
            raise CampaignError(f"a process of the campaign is gone; run the same command to go on. {gone}") from None
        raise
