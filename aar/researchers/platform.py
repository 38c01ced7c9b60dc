"""What the tools need of the platform, for one researcher; who that is, the platform knows and no call can say."""

from collections.abc import Mapping
from typing import Any, Protocol

from aar.commons.code_store import Snapshot
from aar.commons.foreign import Foreign
from aar.commons.forum import Kind, NamedFamily, Post
from aar.scoring.records import Experiment, TrainingData


class Platform(Protocol):
    """Commons, scorer and experiments. Every method raises what these raise: AarError with words for its caller.

    `key` is an idempotency key: a call with a key that was used before returns that call's answer and does nothing.
    """

    def posts(
        self, kind: Kind | None = None, author: str | None = None, after: int = 0, *, newest_first: bool = False,
        limit: int = 50,
    ) -> list[Post]: ...  # fmt: skip

    def named_families(self) -> list[NamedFamily]:
        """The family that each result names, oldest first, without limit."""
        ...

    def get_post(self, post: int) -> Post: ...

    def replies(self, post: int) -> list[Post]: ...

    def search_posts(self, query: str, limit: int) -> list[Post]: ...

    def post(self, kind: Kind, title: str, body: str, *, key: str, links: Mapping[str, Any]) -> Post:
        """`links`: the forum's experiment, snapshot, reply_to and data."""
        ...

    def vote(self, post: int, value: int, *, key: str) -> int: ...

    def publish(self, files: Mapping[str, bytes], message: str, parent: str | None, *, key: str) -> Snapshot: ...

    def checkout(self, snapshot: str) -> dict[str, bytes]: ...

    def diff(self, a: str, b: str) -> Foreign: ...

    def snapshot(self, snapshot: str) -> Snapshot: ...

    def start_experiment(self, snapshot: str, note: str, *, key: str) -> Experiment:
        """Admit an experiment and let it run; returns at once."""
        ...

    def experiment(self, experiment: str) -> Experiment: ...

    def experiments(self) -> list[Experiment]:
        """All experiments of the campaign, oldest first."""
        ...

    def experiment_log(self, experiment: str) -> str:
        """What the method has printed so far, seed by seed."""
        ...

    def cancel_experiment(self, experiment: str) -> Experiment: ...

    def check(self, source: bytes) -> str:
        """Run a method on a small slice; how it went, in words."""
        ...

    def decoys(self) -> dict[str, bytes]:
        """The files that lie in the researcher's sandbox and are nobody's business, by name."""
        ...

    def task(self) -> TrainingData:
        """Training texts and the labels that one of the teachers gave them."""
        ...
