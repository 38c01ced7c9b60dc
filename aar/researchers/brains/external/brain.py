"""The external brain: a researcher that does nothing by itself and answers tool calls from outside.

Its calls are executed, recorded and limited like those of any other researcher. It lives as long as its campaign.
"""

import hashlib
import threading
import time
from contextlib import suppress

from aar.errors import AarError, BudgetError, ToolError
from aar.researchers.context import ToolContext
from aar.researchers.prompts import render_command
from aar.researchers.runtime import ResearcherRuntime
from aar.researchers.stopping import StopReason, end_researcher, previous_stop, reached_limit, required_stop
from aar.researchers.tools.executor import Answer, ToolExecutor
from aar.researchers.tools.forum import sync_forum
from aar.researchers.tools.tool import check_call
from aar.researchers.transcript import Transcript

POLL_SECONDS = 0.5
BUSY_SECONDS = 900.0
"""Time stops counting this long after the last call."""
IDLE = "waiting for tool calls"


class ExternalBrain:
    """One external researcher. `call` may be used from any thread, even before `run` and after it has returned."""

    def __init__(self, runtime: ResearcherRuntime, context: ToolContext, transcript: Transcript) -> None:
        self._runtime, self._context, self._transcript = runtime, context, transcript
        self._executor = ToolExecutor(context, transcript)
        self._turn = threading.Lock()
        self._ended = previous_stop(transcript.entries, runtime, context.limits())
        self._last_call: float | None = None
        runtime.last_applied = max(
            (entry.data["number"] for entry in transcript.entries if entry.kind == "command"), default=0
        )
        context.should_stop_waiting = lambda: bool(runtime.pending_commands()) or self._stop_reason() is not None

    def run(self) -> None:
        """Wait until the researcher ends."""
        self._ended = self._ended or previous_stop(self._transcript.entries, self._runtime, self._context.limits())
        if self._ended:
            return
        self._runtime.set_status(IDLE)
        while self._ended is None and (stop := self._stop_reason()) is None:
            self._runtime.wait_while_paused()
            time.sleep(POLL_SECONDS)
        if self._ended is None and stop:
            self._end(stop)

    def call(self, tool: str, arguments: object, key: str | None = None) -> Answer:
        """Answer a call from outside, and append the commands of operators since the last call.

        Args:
            key: an idempotency key, chosen by the caller. A call with a key that was used before is not made again.
        """
        try:
            check_call(tool, arguments, key)
        except ToolError as refusal:
            return Answer(str(refusal), True)
        stop = self._ended or self._stop_reason()
        if stop:
            self._end(stop)
            return Answer(f"{self._context.name} has ended: {stop.why}", True)
        if self._runtime.desired_state() == "paused":
            return Answer("an operator has paused this researcher; retry when it is resumed", True)
        self._last_call = time.monotonic()
        self._runtime.set_status(f"uses {tool}")
        try:
            with suppress(AarError):
                sync_forum(self._context)
            answer = self._executor.answer(tool, arguments, self._call_id(key))
        except BudgetError as error:
            self._end(StopReason("budget", str(error)))
            return Answer(f"not done: {error}", True)
        self._runtime.set_status(IDLE)
        return Answer(answer.text + self._new_commands(), answer.is_error)

    def _call_id(self, key: str | None) -> str:
        if key is not None:  # hashed, because a call id becomes a file name in /shared/outputs
            return f"key-{hashlib.sha256(key.encode(errors='replace')).hexdigest()[:32]}"
        with self._turn:
            return f"call-{len(self._transcript.entries) + 1}-{time.time_ns()}"

    def _new_commands(self) -> str:
        text = ""
        with self._turn:
            for command in self._runtime.pending_commands():
                self._runtime.record_applied(command, self._transcript)
                text += f"\n\n{render_command(command, self._runtime.mark)}"
        return text

    def _stop_reason(self) -> StopReason | None:
        if stop := required_stop(self._runtime):
            return stop
        if self._last_call is None or time.monotonic() - self._last_call > BUSY_SECONDS:
            self._runtime.skip_time()
        return reached_limit(self._runtime, self._context.spend)

    def _end(self, stop: StopReason) -> None:
        with self._turn:
            if self._ended:
                return
            self._ended = stop
        end_researcher(stop, self._runtime, self._context, self._transcript)
