"""The researchers of a running campaign: those it was configured with, and those that people add while it runs.

One researcher at work, under the eyes of the driver: tried again a few times when it fails, then ended alone.

Whose fault an exception is, its type decides. PLATFORM_ERRORS say that something is gone which everybody needs (the
disk, the compute workers, a process of the campaign): they end the run, and the same command goes on. Whatever else
comes out of a researcher's actor is the researcher's own, also what nobody has thought of, what cannot be unpickled,
and the loss of its process more often than Ray starts it again: others are not stopped for it.
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
WAITS = (1.0, 5.0, 25.0)
"""Seconds before each further try; after the last one it is ended."""
HEALTHY_SECONDS = 600.0
"""Who worked so long before it failed has all its tries again."""
STOP_SECONDS = 60.0
REASON_CHARACTERS = 300


class Member:
    """A researcher.

    Attributes:
        actor: its Ray actor; None while it waits to be tried again, and once it has ended alone.
        call: its `run`, while that is under way.
    """

    def __init__(self, start: Callable[[], Any], note: Callable[[str], None]) -> None:
        """`start` starts its actor; `note` records what becomes of it."""
        self._start, self._note = start, note
        self._failures, self._began = 0, 0.0
        self._again: float | None = time.monotonic()
        self.actor: Any = None
        self.call: Any = None

    @property
    def is_done(self) -> bool:
        """Will nothing more come of it?"""
        return self.call is None and self._again is None

    def attend(self, *, stopping: bool) -> None:
        """Let it begin, or begin again, when it is time to; note how it ended, if it has.

        Args:
            stopping: it is to begin nothing further, and to attend alone to what it has begun.

        Raises:
            StorageError, ComputeError, CampaignError: something that everybody needs is gone.
        """
        try:
            if self.call is not None and ray.wait([self.call], timeout=0)[0]:
                call, self.call = self.call, None
                get(call)
            elif self._again is not None and time.monotonic() >= self._again:
                self._again = None
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
            ray.kill(self.actor)  # the next try begins with a new process
            self.actor = None
        if time.monotonic() - self._began > HEALTHY_SECONDS:
            self._failures = 0
        reason = _reason(error)
        if self._failures == len(WAITS):
            self._note(f"failed: {reason}")
            return
        seconds = WAITS[self._failures]
        self._failures += 1
        self._again = time.monotonic() + seconds
        self._note(f"failed, and is tried again after {seconds:.0f} s: {reason}")


def _reason(error: Exception) -> str:
    """What happened, on one bounded and printable line. What Ray says of an error has that at its end."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    try:
        said = [line.strip() for line in str(cause).splitlines() if line.strip()]
    except Exception:  # an exception that a researcher's code made may fail to say what it is
        said = []
    words = (said[-1] if isinstance(cause, RayError) else " ".join(said)) if said else "it says nothing"
    return fitted_line(f"{type(cause).__name__}: {words}", REASON_CHARACTERS)


RESTARTING = "restarting"
ANSWER_SECONDS = 0.25
"""How long one poll waits for the researchers' answers, all together."""
SILENT_SECONDS = 5.0
"""A researcher that has not answered for this long is shown as restarting."""


class ActivityWatch:
    """Asks researchers what they are doing, all at once, so that one that does not answer holds up nobody."""

    def __init__(self) -> None:
        self._pending: dict[str, _Question] = {}

    def poll(self, actors: Mapping[str, Any]) -> dict[str, str]:
        """Return the activities that are newly known, by name; RESTARTING for a process that is lost or silent."""
        current = {name: question for name, question in self._pending.items() if question.actor is actors.get(name)}
        for name, actor in actors.items():
            if name not in current:
                current[name] = _Question(actor, actor.status.remote(), time.monotonic())
        calls = [question.call for question in current.values()]
        answered = ray.wait(calls, num_returns=len(calls), timeout=ANSWER_SECONDS)[0] if calls else []
        now = time.monotonic()
        activities = {name: _activity(one.call) for name, one in current.items() if one.call in answered}
        self._pending = {name: one for name, one in current.items() if name not in activities}
        silent = {name: RESTARTING for name, one in self._pending.items() if now - one.asked > SILENT_SECONDS}
        return activities | silent


@dataclass(frozen=True)
class _Question:
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
    """Starts researchers and attends to them.

    Attributes:
        is_over: whether they were told that the time is up.
    """

    def __init__(
        self,
        config: CampaignConfig,
        commands: CommandQueue,
        note: Callable[[str, str], None],
        start: Callable[[ResearcherConfig], Any],
    ) -> None:
        """`note` records what becomes of a researcher, by name; `start` starts its actor."""
        self._config, self._commands, self._note, self._start = config, commands, note, start
        self._refused: set[str] = set()
        self._members: dict[str, Member] = {}
        self.is_over = False

    @property
    def actors(self) -> dict[str, Any]:
        """Those of researchers who work or have ended well, by name, in the order in which they joined."""
        return {name: member.actor for name, member in self._members.items() if member.actor is not None}

    @property
    def calls(self) -> list[Any]:
        """The calls under way, which return when a researcher has ended."""
        return [member.call for member in self._members.values() if member.call is not None]

    @property
    def is_done(self) -> bool:
        """Has everybody ended?"""
        return all(member.is_done for member in self._members.values())

    def join(self) -> None:
        """Let whoever is to work and does not yet begin; attend to the others. Raises as `Member.attend`."""
        self._admit()
        self._attend()

    def stop(self) -> None:
        """The time is up: nobody begins anything further. To be said again, to those whose process was lost meanwhile.

        Where nobody had begun, an earlier driver may have left experiments that run: they attend to that alone.
        """
        if not self._members:
            self._admit()
        self.is_over = True
        for actor in self.actors.values():
            actor.stop.remote()
        self._attend()

    def _attend(self) -> None:
        for member in self._members.values():
            member.attend(stopping=self.is_over)

    def _admit(self) -> None:
        for one in active_researchers(self._config, self._commands.commands()):
            if one.name not in {*self._members, *self._refused} and self._can_start(one):
                self._members[one.name] = Member(partial(self._start, one), partial(self._note, one.name))

    def _can_start(self, researcher: ResearcherConfig) -> bool:
        try:
            check_model_access(self._config.model_copy(update={"researchers": [researcher]}))
        except AarError as error:
            self._note(researcher.name, f"cannot start: {error}")
            self._refused.add(researcher.name)
            return False
        return True
