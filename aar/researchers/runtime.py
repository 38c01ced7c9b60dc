"""State shared by all brains: a researcher's status, its time, operators' commands to it, and its limits."""

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
from aar.researchers.transcript import Transcript

log = logging.getLogger(__name__)

PAUSE_POLL_SECONDS = 0.5
READ_SECONDS = 0.5
NOTED_SECONDS = 5.0
ACTIVITY_CHARACTERS = 200


class ResearcherRuntime:
    """One researcher in one process. Methods may be called from any thread.

    Attributes:
        status: what the researcher is doing now, in one line for people.
        account: its storage account.
        last_applied: the number of the last command that was passed on to it; 0 before the first.
        interrupt: ends the running command in its sandbox. May be called from any thread.
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
        self._queue: CommandQueue | None = None
        self._commands: list[OperatorCommand] = []
        self._read = 0.0
        self._since = time.monotonic()

    @cached_property
    def mark(self) -> str:
        """The mark that begins every operator's message to the researcher."""
        return mark_of(self._folder, self.researcher.name)

    def set_status(self, status: str) -> None:
        """Set the line that shows people what the researcher is doing now."""
        status = status[:ACTIVITY_CHARACTERS]
        if status != self.status:
            self.status = status
            log.info("%s: %s", self.researcher.name, status)

    def stop(self) -> None:
        """Wind down: nothing further starts, and the running command is ended."""
        self._stopping.set()
        if self.interrupt:
            self.interrupt()

    @property
    def stopping(self) -> bool:
        """True once `stop` was called."""
        return self._stopping.is_set()

    def desired_state(self) -> DesiredState:
        """The state operators have requested: working, paused or stopped."""
        return desired_state(self.commands())

    def direction(self) -> str | None:
        """Return its latest direction: a built-in name or a file's path, or None if it is undirected."""
        directions = [command.text or None for command in self.commands() if command.action == "direction"]
        return directions[-1] if directions else self.researcher.direction

    def commands(self) -> list[OperatorCommand]:
        """Return all commands to it, oldest first. Reads the database at most twice a second."""
        with self._turn:
            if time.monotonic() - self._read > READ_SECONDS:
                last = self._commands[-1].number if self._commands else 0
                self._commands += self._open().commands(last, self.researcher.name)
                self._read = time.monotonic()
            return list(self._commands)

    def pending_commands(self) -> list[OperatorCommand]:
        """Return the messages and directions that it has not received yet."""
        return [
            command
            for command in self.commands()
            if command.number > self.last_applied and command.action in ("message", "direction")
        ]

    def record_applied(self, command: OperatorCommand, transcript: Transcript) -> None:
        """Record that a command was passed on to it, so that it is not passed on again."""
        transcript.append("command", number=command.number, by=command.by, action=command.action, text=command.text)
        self.last_applied = command.number

    def wait_while_paused(self) -> None:
        """Wait until it may work or has to end. The time spent here does not count."""
        while self.desired_state() == "paused" and not self.stopping:
            self.set_status("paused")
            time.sleep(PAUSE_POLL_SECONDS)
            self.skip_time()

    def exceeded_limit(self, spend: UsageStore) -> Limit | None:
        """Return the innermost limit that is used up, with its time counted until now."""
        pending = self.count_time(spend)
        limits = limits_of(self.researcher, self.config, spend)
        return exceeded(
            [replace(limit, used=limit.used + pending) if limit.what == "seconds" else limit for limit in limits]
        )

    def count_time(self, spend: UsageStore, *, include_short: bool = False) -> float:
        """Record the seconds since the last record if they are worth an entry. Return the seconds left unrecorded.

        Args:
            include_short: also record less than NOTED_SECONDS.
        """
        name = self.researcher.name
        with self._turn:
            seconds = time.monotonic() - self._since
            if seconds < NOTED_SECONDS and not include_short:
                return seconds
            self._since += seconds
        spend.add(name, f"time/{name}/{time.time_ns()}", resources=Resources(seconds=seconds))
        return 0.0

    def skip_time(self) -> None:
        """Discard the time since the last record."""
        with self._turn:
            self._since = time.monotonic()

    def _open(self) -> CommandQueue:
        if self._queue is None:
            self._queue = CommandQueue(self._folder)
        return self._queue
