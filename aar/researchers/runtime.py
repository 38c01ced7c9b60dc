"""What every researcher has, whatever its brain: what it is doing, its time, what people ask of it, and its end."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from aar.budget import Account, Limit, Resources, StorageQuota, UsageStore, exceeded, limits_of
from aar.budget.quota import MIB
from aar.config import CampaignConfig, ResearcherConfig
from aar.researchers.commands import CommandQueue, DesiredState, OperatorCommand, desired_state, mark_of

log = logging.getLogger(__name__)

PAUSE_POLL_SECONDS = 0.5
READ_SECONDS = 0.5
NOTED_SECONDS = 5.0
ACTIVITY_CHARACTERS = 200


class ResearcherRuntime:
    """One researcher's life in one process. May be asked from any thread.

    Attributes:
        activity: what it is doing now, for people.
        account: what is kept for it.
        taken: the number of the last wish that it has taken up.
        interrupt: ends what it is doing in its sandbox, from any thread.
    """

    def __init__(self, researcher: ResearcherConfig, config: CampaignConfig, folder: Path) -> None:
        self.researcher, self.config = researcher, config
        self.status = "starting"
        self.last_applied = 0
        self.interrupt: Callable[[], None] | None = None
        self._folder = folder
        storage, budget = StorageQuota(folder), researcher.budget or config.budget.researcher
        storage.allow(researcher.name, budget.storage_mib * MIB)
        self.account = Account(storage, researcher.name)
        self._stopping = threading.Event()
        self._turn = threading.Lock()
        self._steering: CommandQueue | None = None
        self._commands: list[OperatorCommand] = []
        self._read = 0.0
        self._since = time.monotonic()

    @cached_property
    def mark(self) -> str:
        """How what people write to it begins."""
        return mark_of(self._folder, self.researcher.name)

    def set_status(self, status: str) -> None:
        """Tell the people who watch what the researcher is doing now, in a line."""
        status = status[:ACTIVITY_CHARACTERS]
        if status != self.status:
            self.status = status
            log.info("%s: %s", self.researcher.name, status)

    def stop(self) -> None:
        """Its time is up: begin nothing further, and end the command that runs."""
        self._stopping.set()
        if self.interrupt:
            self.interrupt()

    @property
    def stopping(self) -> bool:
        """Was it told that its time is up?"""
        return self._stopping.is_set()

    def desired_state(self) -> DesiredState:
        """What people want of it."""
        return desired_state(self.commands())

    def direction(self) -> str | None:
        """The direction that it was given last: a built-in one's name or a file's path; None: undirected."""
        asked = [command.text or None for command in self.commands() if command.action == "direction"]
        return asked[-1] if asked else self.researcher.direction

    def commands(self) -> list[OperatorCommand]:
        """Everything that was ever asked of it, oldest first; looked up twice a second at most."""
        with self._turn:
            if time.monotonic() - self._read > READ_SECONDS:
                last = self._commands[-1].number if self._commands else 0
                self._commands += self._open().commands(last, self.researcher.name)
                self._read = time.monotonic()
            return list(self._commands)

    def pending_commands(self) -> list[OperatorCommand]:
        """Messages and directions that it has not taken up yet."""
        return [
            command
            for command in self.commands()
            if command.number > self.last_applied and command.action in ("message", "direction")
        ]

    def wait_while_paused(self) -> None:
        """Return when it may work, or is to end. Time spent here is not counted."""
        while self.desired_state() == "paused" and not self.stopping:
            self.set_status("paused")
            time.sleep(PAUSE_POLL_SECONDS)
            self.skip_time()

    def exceeded_limit(self, spend: UsageStore) -> Limit | None:
        """The innermost limit that is used up, its time counted until now."""
        pending = self.count_time(spend)
        limits = limits_of(self.researcher, self.config, spend)
        return exceeded([replace(one, used=one.used + pending) if one.what == "seconds" else one for one in limits])

    def count_time(self, spend: UsageStore, *, all_of_it: bool = False) -> float:
        """Note the time that was used since this was last done, if it is worth an entry; returns what was not noted."""
        name = self.researcher.name
        with self._turn:
            seconds = time.monotonic() - self._since
            if seconds < NOTED_SECONDS and not all_of_it:
                return seconds
            self._since += seconds
        spend.add(name, f"time/{name}/{time.time_ns()}", amounts=Resources(seconds=seconds))
        return 0.0

    def skip_time(self) -> None:
        """The time since it was last counted was not its own."""
        with self._turn:
            self._since = time.monotonic()

    def _open(self) -> CommandQueue:
        if self._steering is None:
            self._steering = CommandQueue(self._folder)
        return self._steering
