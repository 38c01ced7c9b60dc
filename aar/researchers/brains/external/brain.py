"""The external brain: a researcher that does nothing by itself and answers calls from outside.

Its calls are answered, written down and limited as those of any other researcher. It lives as long as its campaign.
"""

import hashlib
import threading
import time
from contextlib import suppress

from aar.errors import AarError, BudgetError, ToolError
from aar.researchers.commands import render_command
from aar.researchers.context import ToolContext
from aar.researchers.runtime import ResearcherRuntime
from aar.researchers.stopping import StopReason, earlier_end, last_note
from aar.researchers.tools.executor import Answer, ToolExecutor
from aar.researchers.tools.forum import sync_forum
from aar.researchers.tools.tool import check_call
from aar.researchers.transcript import Transcript

POLL_SECONDS = 0.5
BUSY_SECONDS = 900.0
"""Its time counts until so long after its last call."""


class ExternalBrain:
    """One external researcher. `call` may be used from any thread, also before `run` and after it has returned."""

    def __init__(self, runtime: ResearcherRuntime, context: ToolContext, transcript: Transcript) -> None:
        self._runtime, self._desk, self._transcript = runtime, context, transcript
        self._caller = ToolExecutor(context, transcript)
        self._turn = threading.Lock()
        self._ended = earlier_end(transcript.entries, runtime, context.limits())
        self._last_call: float | None = None
        runtime.last_applied = max(
            (one.data["number"] for one in transcript.entries if one.kind == "command"), default=0
        )
        context.wanted = lambda: bool(runtime.pending_commands()) or self._ending() is not None

    def run(self) -> None:
        """Wait until the researcher ends."""
        self._ended = self._ended or earlier_end(self._transcript.entries, self._runtime, self._desk.limits())
        if self._ended:
            return
        self._runtime.set_status("waits for whoever thinks for it")
        while self._ended is None and (ending := self._ending()) is None:
            self._runtime.wait_while_paused()
            time.sleep(POLL_SECONDS)
        if self._ended is None and ending:
            self._end(ending)

    def call(self, tool: str, arguments: object, key: str | None = None) -> Answer:
        """Answer a call from outside, with what people have asked since the last one.

        Args:
            key: the caller's own name for the call; a call under a name that was used before is not made again.
        """
        try:
            check_call(tool, arguments, key)
        except ToolError as refusal:
            return Answer(str(refusal), True)
        ending = self._ended or self._ending()
        if ending:
            self._end(ending)
            return Answer(f"{self._desk.name} has ended: {ending.why}", True)
        if self._runtime.desired_state() == "paused":
            return Answer("a person has paused this researcher; call again when it goes on", True)
        self._last_call = time.monotonic()
        self._runtime.set_status(f"uses {tool}")
        try:
            with suppress(AarError):
                sync_forum(self._desk)
            answer = self._caller.answer(tool, arguments, self._call_id(key))
        except BudgetError as error:
            self._end(StopReason("budget", str(error)))
            return Answer(f"not done: {error}", True)
        self._runtime.set_status("waits for whoever thinks for it")
        return Answer(answer.text + self._commands(), answer.is_error)

    def _call_id(self, key: str | None) -> str:
        if key is not None:
            return f"key-{hashlib.sha256(key.encode(errors='replace')).hexdigest()[:32]}"
        with self._turn:
            return f"call-{len(self._transcript.entries) + 1}-{time.time_ns()}"

    def _commands(self) -> str:
        told = ""
        with self._turn:
            for command in self._runtime.pending_commands():
                self._transcript.append(
                    "command", number=command.number, by=command.by, action=command.action, text=command.text
                )
                self._runtime.last_applied = command.number
                told += f"\n\n{render_command(command, self._runtime.mark)}"
        return told

    def _ending(self) -> StopReason | None:
        if self._runtime.desired_state() == "stopped":
            return StopReason("stopped", "a person stopped it")
        if self._runtime.stopping:
            return StopReason("time", "the campaign's time is up")
        if self._last_call is None or time.monotonic() - self._last_call > BUSY_SECONDS:
            self._runtime.skip_time()
        limit = self._runtime.exceeded_limit(self._desk.spend)
        return StopReason("budget", limit.describe()) if limit else None

    def _end(self, ending: StopReason) -> None:
        with self._turn:
            if self._ended:
                return
            self._ended = ending
        self._runtime.count_time(self._desk.spend, all_of_it=True)
        last_note(ending, self._desk, self._transcript)
        self._transcript.append("end", reason=ending.kind, why=ending.why)
        self._runtime.set_status(f"ended: {ending.why}")
