"""What a brain can do in a campaign: the tools, and the data they answer with. No behaviour here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from aar.commons.forum import Kind, Post
from aar.scoring.records import Score


@dataclass(frozen=True)
class Result:
    """A finished experiment: its released `score`, or why it failed, readable.

    Neither: it was scored, and is no significant improvement over the researcher's best so far (before the first
    release, over vanilla); how good it is stays untold, so that the hidden test set is not used up.
    """

    experiment: str
    score: Score | None
    failure: str | None


class Tools(Protocol):
    """One researcher's access to the campaign.

    `key` is an idempotency key: a call with a key that was used before returns that call's answer and does nothing.
    """

    @property
    def name(self) -> str: ...

    @property
    def direction_name(self) -> str: ...

    @property
    def direction(self) -> str:
        """The direction's text."""

    def read_posts(self, after: int = 0) -> list[Post]:
        """Posts with an id above `after`, oldest first; perhaps not all: an empty list says there are no more."""

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
    ) -> Post: ...

    def publish(self, files: Mapping[str, bytes], message: str, parent: str | None, key: str) -> str:
        """Store a snapshot and return its id."""

    def run_experiment(self, snapshot: str, note: str, key: str) -> Result:
        """Run the snapshot's `method.py` on the campaign's problem; returns when it has finished or failed."""

    def reference(self) -> Score | None:
        """The vanilla method's score, once there is one."""

    def experiments_left(self) -> int: ...

    def set_status(self, status: str) -> None:
        """Tell the people who watch what the researcher is doing now."""
