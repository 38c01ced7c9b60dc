"""The researchers of a running campaign: those of its configuration, and those that operators add while it runs.

The driver retries a researcher that fails; after the last retry that researcher ends and the others continue. The type
of an exception decides whose fault it is. PLATFORM_ERRORS mean that something every researcher needs is gone (the disk,
the compute workers, a process of the campaign): they end the run, and the same command resumes it. Any other exception
out of a researcher's actor is the researcher's own, including unforeseen ones, ones that cannot be unpickled, and the
loss of its process more often than Ray restarts it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from aar.config import CampaignConfig, ResearcherConfig
from aar.errors import AarError, CampaignError, ComputeError, StorageError
from aar.ray_utils import get
from aar.researchers.brains.claude.access import check_model_access
from aar.researchers.commands import CommandQueue, active_researchers
from aar.text import fitted_line

PLATFORM_ERRORS = (StorageError, ComputeError, CampaignError)
RETRY_SECONDS = (1.0, 5.0, 25.0)
"""The delay before each retry; after the last retry the researcher is ended."""
HEALTHY_SECONDS = 600.0
"""A researcher that worked this long before it failed gets all its retries again."""
STOP_SECONDS = 60.0
REASON_CHARACTERS = 300


class Member:
    """One researcher of the team.

    Attributes:
        actor: its Ray actor; None while it waits for a retry, and after it has failed for good.
        call: the call of its `run`, while that is under way.
    """

    def __init__(self, start: Callable[[], Any], note: Callable[[str], None]) -> None:
        """`start` starts its actor; `note` records its failures."""
        self._start, self._note = start, note
        self._failures, self._began = 0, 0.0
        self._start_at: float | None = time.monotonic()
        self.actor: Any = None
        self.call: Any = None

    @property
    def is_done(self) -> bool:
        """True if it neither runs nor will be started again."""
        return self.call is None and self._start_at is None

    def update(self, *, stopping: bool) -> None:
        """Start it when it is due; if it has ended, note how.

        Args:
            stopping: if it starts, it starts nothing new and only finishes what an earlier process began.

        Raises:
            StorageError, ComputeError, CampaignError: something that every researcher needs is gone.
        """
        try:
            if self.call is not None and ray.wait([self.call], timeout=0)[0]:
                call, self.call = self.call, None
                get(call)
            elif self._start_at is not None and time.monotonic() >= self._start_at:
                self._start_at = None
                self._begin(stopping)
        except PLATFORM_ERRORS:
            raise
        except Exception as error:
            self._failed(error)

    def _begin(self, stopping: bool) -> None:
        self._began = time.monotonic()
        self.actor = self._start()
        if stopping:
            ray.wait([self.actor.stop.remote()], timeout=STOP_SECONDS)
        self.call = self.actor.run.remote()

    def _failed(self, error: Exception) -> None:
        if self.actor is not None:
            ray.kill(self.actor)  # the retry gets a new process
            self.actor = None
        if time.monotonic() - self._began > HEALTHY_SECONDS:
            self._failures = 0
        reason = _reason(error)
        if self._failures == len(RETRY_SECONDS):
            self._note(f"failed: {reason}")
            return
        seconds = RETRY_SECONDS[self._failures]
        self._failures += 1
        self._start_at = time.monotonic() + seconds
        self._note(f"failed, retrying in {seconds:.0f} s: {reason}")


def _reason(error: Exception) -> str:
    """Describe an error on one bounded, printable line."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    try:
        lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    except Exception:  # the __str__ of a foreign exception may raise anything
        lines = []
    if not lines:
        text = "no message"
    elif isinstance(cause, RayError):  # a Ray error ends with its reason
        text = lines[-1]
    else:
        text = " ".join(lines)
    return fitted_line(f"{type(cause).__name__}: {text}", REASON_CHARACTERS)


RESTARTING = "restarting"
ANSWER_SECONDS = 0.25
"""How long one poll waits for the researchers' answers, all together."""
SILENT_SECONDS = 5.0
"""A researcher that has not answered for this long is shown as restarting."""


class ActivityWatch:
    """Asks researchers what they are doing, all at once, so that one that does not answer delays nobody."""

    def __init__(self) -> None:
        self._pending: dict[str, _Query] = {}

    def poll(self, actors: Mapping[str, Any]) -> dict[str, str]:
        """Return activities reported since the last poll, by name; RESTARTING for a process that is lost or silent."""
        current = {name: query for name, query in self._pending.items() if query.actor is actors.get(name)}
        for name, actor in actors.items():
            if name not in current:
                current[name] = _Query(actor, actor.status.remote(), time.monotonic())
        calls = [query.call for query in current.values()]
        answered = ray.wait(calls, num_returns=len(calls), timeout=ANSWER_SECONDS)[0] if calls else []
        now = time.monotonic()
        activities = {name: _activity(query.call) for name, query in current.items() if query.call in answered}
        self._pending = {name: query for name, query in current.items() if name not in activities}
        silent = {name: RESTARTING for name, query in self._pending.items() if now - query.asked > SILENT_SECONDS}
        return activities | silent


@dataclass(frozen=True)
class _Query:
    """A call of a researcher's `status`, and when it was made."""

    actor: Any
    call: Any
    asked: float


def _activity(call: Any) -> str:
    try:
        return str(ray.get(call))
    except RayError:
        return RESTARTING


class ResearcherSupervisor:
    """Starts researchers, restarts those that fail, and winds all of them down.

    Attributes:
        is_stopping: True once `stop` was called.
    """

    def __init__(
        self,
        config: CampaignConfig,
        commands: CommandQueue,
        note: Callable[[str, str], None],
        start: Callable[[ResearcherConfig], Any],
    ) -> None:
        """`note` records an event of a researcher, by name; `start` starts its actor."""
        self._config, self._commands, self._note, self._start = config, commands, note, start
        self._refused: set[str] = set()
        self._members: dict[str, Member] = {}
        self.is_stopping = False

    @property
    def actors(self) -> dict[str, Any]:
        """The actors of researchers that work or have ended well, by name, in the order in which they joined."""
        return {name: member.actor for name, member in self._members.items() if member.actor is not None}

    @property
    def calls(self) -> list[Any]:
        """The calls of `run` that are under way; each returns when its researcher has ended."""
        return [member.call for member in self._members.values() if member.call is not None]

    @property
    def is_done(self) -> bool:
        """True if all researchers have ended."""
        return all(member.is_done for member in self._members.values())

    def update(self) -> None:
        """Start researchers that are new or due, and note those that ended. Raises as `Member.update`."""
        self._admit()
        self._update_members()

    def stop(self) -> None:
        """Tell all researchers to wind down. Idempotent; call again to reach restarted ones. Raises as `Member.update`.

        If none has started yet, an earlier driver may have left running experiments: researchers start to finish these.
        """
        if not self._members:
            self._admit()
        self.is_stopping = True
        for actor in self.actors.values():
            actor.stop.remote()
        self._update_members()

    def _update_members(self) -> None:
        for member in self._members.values():
            member.update(stopping=self.is_stopping)

    def _admit(self) -> None:
        for researcher in active_researchers(self._config, self._commands.commands()):
            name = researcher.name
            if name not in {*self._members, *self._refused} and self._can_start(researcher):
                self._members[name] = Member(partial(self._start, researcher), partial(self._note, name))

    def _can_start(self, researcher: ResearcherConfig) -> bool:
        try:
            check_model_access(self._config.model_copy(update={"researchers": [researcher]}))
        except AarError as error:
            self._note(researcher.name, f"cannot start: {error}")
            self._refused.add(researcher.name)
            return False
        return True
