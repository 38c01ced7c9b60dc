"""The client of a running campaign: calls its Ray actors on behalf of one researcher. Implements CampaignClient."""

from collections.abc import Mapping
from typing import Any, Unpack

from ray.exceptions import RayActorError, RayTaskError

from aar.commons.code_store import Snapshot
from aar.commons.foreign import Foreign
from aar.commons.forum import Kind, Links, NamedFamily, Post
from aar.errors import CampaignError, ScoringError
from aar.ray_utils import COMMONS, EXPERIMENTS, SCORER, get, get_actor
from aar.scoring.records import Experiment, TrainingData


class RayCampaignClient:
    """Calls the commons, scorer and experiments actors for the researcher called `name`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._commons, self._scorer, self._experiments = get_actor(COMMONS), get_actor(SCORER), get_actor(EXPERIMENTS)

    def posts(
        self,
        kind: Kind | None = None,
        author: str | None = None,
        after: int = 0,
        *,
        newest_first: bool = False,
        limit: int = 50,
    ) -> list[Post]:
        posts: list[Post] = _answer(self._commons.posts.remote(kind, author, after, limit, newest_first=newest_first))
        return posts

    def named_families(self) -> list[NamedFamily]:
        families: list[NamedFamily] = _answer(self._commons.named_families.remote())
        return families

    def get_post(self, post: int) -> Post:
        answer: Post = _answer(self._commons.get.remote(post))
        return answer

    def replies(self, post: int) -> list[Post]:
        posts: list[Post] = _answer(self._commons.replies.remote(post))
        return posts

    def search_posts(self, query: str, limit: int) -> list[Post]:
        posts: list[Post] = _answer(self._commons.search.remote(query, limit))
        return posts

    def post(self, kind: Kind, title: str, body: str, *, key: str, **links: Unpack[Links]) -> Post:
        post: Post = _answer(self._commons.post.remote(self.name, kind, title, body, key=key, **links))
        return post

    def vote(self, post: int, value: int, *, key: str) -> int:
        votes: int = _answer(self._commons.vote.remote(post, self.name, value, key=key))
        return votes

    def publish(self, files: Mapping[str, bytes], message: str, parent: str | None, *, key: str) -> Snapshot:
        snapshot: Snapshot = _answer(self._commons.publish.remote(self.name, dict(files), message, parent, key=key))
        return snapshot

    def checkout(self, snapshot: str) -> dict[str, bytes]:
        files: dict[str, bytes] = _answer(self._commons.checkout.remote(snapshot))
        return files

    def diff(self, a: str, b: str) -> Foreign:
        changes: Foreign = _answer(self._commons.diff.remote(a, b))
        return changes

    def snapshot(self, snapshot: str) -> Snapshot:
        answer: Snapshot = _answer(self._commons.snapshot.remote(snapshot))
        return answer

    def submit(self, files: Mapping[str, bytes], note: str, parent: str | None, *, key: str) -> Experiment:
        call = self._experiments.submit.remote(self.name, dict(files), note, key, parent)
        experiment: Experiment = _answer(call)
        return experiment

    def start(self, snapshot: str, note: str, *, key: str) -> Experiment:
        experiment: Experiment = _answer(self._experiments.start.remote(self.name, snapshot, note, key))
        return experiment

    def wait(self, experiment: str, seconds: float | None = None) -> Experiment:
        return _not_verification(_answer(self._experiments.wait.remote(experiment, seconds)))

    def experiment(self, experiment: str) -> Experiment:
        record = _not_verification(_answer(self._scorer.experiment.remote(experiment)))
        if record.status == "running":  # raises a failure of the platform while it ran
            record = _answer(self._experiments.status.remote(experiment))
        return record

    def experiments(self) -> list[Experiment]:
        records: list[Experiment] = _answer(self._scorer.experiments.remote())
        return records

    def experiments_left(self) -> int:
        left: int = _answer(self._scorer.experiments_left.remote(self.name))
        return left

    def experiment_log(self, experiment: str) -> str:
        printed: str = _answer(self._experiments.log.remote(experiment))
        return printed

    def cancel_experiment(self, experiment: str) -> Experiment:
        record: Experiment = _answer(self._experiments.cancel.remote(experiment))
        return record

    def check(self, source: bytes) -> str:
        report: str = _answer(self._experiments.check.remote(source, self.name))
        return report

    def decoys(self) -> dict[str, bytes]:
        files: dict[str, bytes] = _answer(self._scorer.decoys.remote(self.name))
        return files

    def training_data(self) -> TrainingData:
        reference = next((record for record in self.experiments() if record.is_reference), None)
        if reference is None:
            raise ScoringError("the baselines are not measured yet")
        data: TrainingData = _answer(self._scorer.task.remote(reference.id, reference.runs[0]))
        return data


def _not_verification(record: Experiment) -> Experiment:
    """Return `record`. Raises ScoringError if it verifies another experiment, whose result researchers may not see."""
    if record.verification_of:
        raise ScoringError(f"{record.id} is a verification by the platform, which researchers cannot see")
    return record


def _answer(call: Any) -> Any:
    """Return an actor's answer. Raises CampaignError if that actor, or one that it needs, is gone."""
    try:
        return get(call)
    except (RayActorError, RayTaskError) as error:
        gone = error.cause if isinstance(error, RayTaskError) else error
        if isinstance(gone, RayActorError):
            raise CampaignError(f"a campaign process is gone; run the same command to resume. {gone}") from None
        raise
