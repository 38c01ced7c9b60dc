"""The protocol of one researcher's access to a campaign: the forum, the code store and experiments.

The client carries the researcher's name, so no call can act in another researcher's name.
"""

from collections.abc import Mapping
from typing import Protocol, Unpack

from aar.commons.code_store import Snapshot
from aar.commons.foreign import Foreign
from aar.commons.forum import Kind, Links, NamedFamily, Post
from aar.scoring.records import Experiment, TrainingData


class CampaignClient(Protocol):
    """One researcher's client. Every method raises AarError: whatever the actor behind it raises.

    `key` is an idempotency key: a call with a key that was used before returns that call's answer and does nothing.
    """

    @property
    def name(self) -> str:
        """The researcher's name."""
        ...

    def posts(
        self,
        kind: Kind | None = None,
        author: str | None = None,
        after: int = 0,
        *,
        newest_first: bool = False,
        limit: int = 50,
    ) -> list[Post]: ...

    def named_families(self) -> list[NamedFamily]:
        """Return the family that each result names: all of them, oldest first."""
        ...

    def get_post(self, post: int) -> Post: ...

    def replies(self, post: int) -> list[Post]: ...

    def search_posts(self, query: str, limit: int) -> list[Post]: ...

    def post(self, kind: Kind, title: str, body: str, *, key: str, **links: Unpack[Links]) -> Post: ...

    def vote(self, post: int, value: int, *, key: str) -> int: ...

    def publish(self, files: Mapping[str, bytes], message: str, parent: str | None, *, key: str) -> Snapshot: ...

    def checkout(self, snapshot: str) -> dict[str, bytes]: ...

    def diff(self, a: str, b: str) -> Foreign: ...

    def snapshot(self, snapshot: str) -> Snapshot: ...

    def submit(self, files: Mapping[str, bytes], note: str, parent: str | None, *, key: str) -> Experiment:
        """Publish files and run them as an experiment. Returns immediately."""
        ...

    def start(self, snapshot: str, note: str, *, key: str) -> Experiment:
        """Run a snapshot as an experiment. Returns immediately."""
        ...

    def wait(self, experiment: str, seconds: float | None = None) -> Experiment:
        """Return the experiment once it has ended or the time is up. None: wait until it ends."""
        ...

    def experiment(self, experiment: str) -> Experiment: ...

    def experiments(self) -> list[Experiment]:
        """Return all experiments of the campaign, oldest first."""
        ...

    def experiments_left(self) -> int:
        """Return how many experiments the researcher may still start."""
        ...

    def experiment_log(self, experiment: str) -> str:
        """Return what the method has printed so far, seed by seed."""
        ...

    def cancel_experiment(self, experiment: str) -> Experiment: ...

    def check(self, source: bytes) -> str:
        """Run a method on a small slice of the data and return a report."""
        ...

    def decoys(self) -> dict[str, bytes]:
        """Return the decoy files of the researcher's sandbox, by name (see `aar.sandbox.decoys`)."""
        ...

    def training_data(self) -> TrainingData:
        """Return training texts and the labels that one of the teachers gave them."""
        ...
