"""The claude brain: a researcher that is a conversation with a language model.

The transcript is its memory. A complete reply is written to the transcript before anything follows from it, and each
step of the loop is chosen from the transcript alone. So the process may be killed at any moment: the next one takes the
step that was due, no tool call is made twice, and at most the reply that was being received is lost.
"""

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any

import anthropic
from anthropic import APIRequest, AsyncCallNext

from aar.budget import Resources, read_prices
from aar.errors import BudgetError, QuotaError
from aar.researchers.brains.claude.access import check_credentials
from aar.researchers.brains.claude.messages import (
    REQUEST_ERRORS,
    ApiFailure,
    Block,
    classify_error,
    content_of,
    read_reply,
    request_params,
    result_block,
    text_block,
    tokens_of,
)
from aar.researchers.context import ToolContext
from aar.researchers.prompts import (
    render_command,
    render_first_message,
    render_nudge,
    render_platform_note,
    render_restart,
    render_system_prompt,
)
from aar.researchers.runtime import ResearcherRuntime
from aar.researchers.stopping import StopReason, end_researcher, previous_stop, reached_limit, required_stop
from aar.researchers.tools.executor import Answer, ToolExecutor
from aar.researchers.tools.forum import sync_forum
from aar.researchers.transcript import Transcript, TranscriptEntry
from aar.researchers.transcript.conversation import Conversation, ToolCall, conversation

MOST_REFUSALS = 3
POLL_SECONDS = 0.5
FIRST = "first"
"""The reason why the first conversation starts."""
CONTINUE = "(Your reply reached the maximum length and was cut off. Continue.)"
CUT_OFF = (
    "This call was not made: your reply reached the maximum length before the call was complete. Write shorter replies."
)
REFUSED = "The model's safety system withheld your last reply. Continue your research in a different way."

log = logging.getLogger(__name__)


class ClaudeBrain:
    """One researcher's conversation with its model. The transcript and the forum record how it ended."""

    def __init__(self, runtime: ResearcherRuntime, context: ToolContext, transcript: Transcript) -> None:
        """Raises ConfigError if its model has no price, or its prompt or direction cannot be read."""
        self._runtime, self._context, self._transcript = runtime, context, transcript
        self._settings = context.researcher.claude or context.config.claude
        self._price = read_prices(self._settings.prices).price(self._settings.model)
        self._system = render_system_prompt(context.researcher, context.config, runtime.mark)
        # From messages, not from "command" entries: those follow the message, and a kill may come in between.
        runtime.last_applied = max(
            (entry.data.get("last_command", 0) for entry in transcript.entries if entry.kind == "message"), default=0
        )
        context.should_stop_waiting = self._should_stop_waiting
        self._failures = self._refusals = 0
        self._requested = time.monotonic()

    def run(self) -> None:
        """Converse until the researcher ends.

        Raises:
            Exception: a fault of the platform, not of the model's endpoint. `run` may be called again.
        """
        asyncio.run(self._converse())

    async def _converse(self) -> None:
        if previous_stop(self._transcript.entries, self._runtime, self._context.limits()):
            return
        check_credentials()
        llm = self._settings
        self._transcript.append("start", brain="claude", model=llm.model, effort=llm.effort, thinking=llm.thinking)
        async with anthropic.AsyncAnthropic(middleware=[self._note_failed_attempt]) as client:
            while True:
                await asyncio.to_thread(self._runtime.wait_while_paused)
                if stop := self._stop_reason() or await self._step(client):
                    break
        end_researcher(stop, self._runtime, self._context, self._transcript)

    async def _step(self, client: anthropic.AsyncAnthropic) -> StopReason | None:
        """Take the step that is due according to the transcript."""
        state = conversation(self._transcript.entries)
        if state.system is None:
            self._transcript.append("reset", system=self._system, why=FIRST)
        elif not state.messages:
            self._open(state)
        elif state.reply and state.reply.data["stop_reason"] not in ("pause_turn", "compaction"):
            return await self._follow_up(state.reply, state.unanswered)
        else:
            return await self._ask(client, state)
        return None

    def _open(self, state: Conversation) -> None:
        """Send the first message of a conversation."""
        limits = self._context.limits()
        if state.why == FIRST:
            return self._send([text_block(render_first_message(self._context.researcher, limits))])
        notes = self._context.notes.all()
        self._send([self._note(render_restart(self._runtime.direction(), limits, state.why, notes))])

    async def _ask(self, client: anthropic.AsyncAnthropic, state: Conversation) -> StopReason | None:
        """Request the next reply and record it. "pause_turn" and "compaction" replies are sent back to be continued."""
        try:
            message = await self._request(client, state)
        except REQUEST_ERRORS as error:
            return await self._recover(classify_error(error), state)
        self._failures = 0
        if message.stop_reason == "refusal":
            return self._refuse(message)
        self._refusals = 0
        if message.stop_reason == "model_context_window_exceeded":
            entry = self._reset("the context window was full")
        else:
            entry = self._transcript.append(
                "message", role="assistant", content=content_of(message), id=message.id, model=message.model,
                stop_reason=message.stop_reason,
            )  # fmt: skip
        self._count(message.usage, f"message/{entry.number}", entry.number)
        return None

    async def _request(self, client: anthropic.AsyncAnthropic, state: Conversation) -> Any:
        """Return the next reply once it is complete, and count one that was cut off. Raises one of REQUEST_ERRORS."""
        self._runtime.set_status("thinks")
        self._requested = time.monotonic()
        params = request_params(self._settings, state.system or self._system)
        async with client.beta.messages.stream(messages=state.messages, **params) as stream:  # type: ignore[arg-type]
            message = None
            try:
                message = await read_reply(stream, self._show_block)
            finally:
                if message is None:
                    self._count_partial(stream)
            return message

    async def _follow_up(self, reply: TranscriptEntry, calls: tuple[ToolCall, ...]) -> StopReason | None:
        """Answer a recorded reply: its tool calls, or the end of its turn."""
        if reply.data["stop_reason"] == "max_tokens":  # the last call's arguments may be incomplete
            results = [result_block(call.id, CUT_OFF, is_error=True) for call in calls]
            self._send(results or [self._note(CONTINUE)])
        elif calls:
            return await self._answer(calls)
        elif self._was_nudged():
            return StopReason("finished", "it saw nothing left to do")
        else:
            self._send([self._note(render_nudge(self._context.limits()))], note="nudge")
        return None

    async def _answer(self, calls: tuple[ToolCall, ...]) -> StopReason | None:
        """Make the calls of a reply in order. A limit that is reached on the way ends the researcher."""
        executor = ToolExecutor(self._context, self._transcript)
        results: list[Block] = []
        reached: BudgetError | None = None
        for call in calls:
            if reached is None:
                self._runtime.set_status(f"uses {call.tool}")
                try:
                    answer = await asyncio.to_thread(executor.answer, call.tool, call.arguments, call.call_id, call.id)
                except BudgetError as error:
                    reached = error
            if reached:
                answer = Answer(f"not done: {reached}", True)
            results.append(result_block(call.id, answer.text, is_error=answer.is_error))
        self._send(results)
        return StopReason("budget", str(reached)) if reached else None

    def _refuse(self, message: Any) -> StopReason | None:
        """Record a withheld reply, and ask the model to continue in a different way."""
        text = "the reply was withheld (refusal)"
        entry = self._transcript.append("api_failure", message=text, content=content_of(message))
        self._count(message.usage, f"message/{entry.number}", entry.number)
        self._refusals += 1
        if self._refusals >= MOST_REFUSALS:
            return StopReason("failed", f"{MOST_REFUSALS} replies in a row were withheld by the model's safety system")
        self._runtime.set_status("a reply was withheld; it continues in a different way")
        self._send([self._note(REFUSED)])
        return None

    async def _recover(self, failure: ApiFailure, state: Conversation) -> StopReason | None:
        """Act on a failed request. A conversation without any reply is not reset, because it would fail again."""
        if failure.action == "wait":
            self._failures += 1
            seconds = failure.wait_seconds(self._failures)
            self._transcript.append("api_failure", message=failure.message, attempt=self._failures, waits=seconds)
            await self._wait(failure.message, seconds)
            return None
        self._transcript.append("api_failure", message=failure.message)
        has_reply = any(message["role"] == "assistant" for message in state.messages)
        if failure.action == "give_up" or not has_reply:
            return StopReason("failed", failure.message)
        self._reset(failure.message)
        return None

    async def _wait(self, failure: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self._stop_reason() is None:
            self._runtime.set_status(f"{failure}; retries (attempt {self._failures + 1}) after {seconds:.0f} s")
            await asyncio.sleep(min(left, POLL_SECONDS))

    def _reset(self, why: str) -> TranscriptEntry:
        """Start a new conversation, whose first message `_open` sends."""
        return self._transcript.append("reset", system=self._system, why=why)

    def _send(self, content: list[Block], **data: Any) -> None:
        """Record the next message to the model: `content`, operators' commands, and the number of new posts."""
        commands, new_posts = self._runtime.pending_commands(), sync_forum(self._context)
        content = [*content, *(text_block(render_command(command, self._runtime.mark)) for command in commands)]
        if new_posts:
            content.append(self._note(f"{new_posts} new posts on the forum, also in /shared/forum"))
        last_command = {"last_command": commands[-1].number} if commands else {}
        self._transcript.append("message", role="user", content=content, **last_command, **data)
        for command in commands:
            self._runtime.record_applied(command, self._transcript)

    def _note(self, text: str) -> Block:
        return text_block(render_platform_note(text, self._runtime.mark))

    def _was_nudged(self) -> bool:
        """True if the last message to the model was a nudge, so that its turn now ends for the second time."""
        messages = (entry.data for entry in reversed(self._transcript.entries) if entry.kind == "message")
        return next((data.get("note") == "nudge" for data in messages if data["role"] == "user"), False)

    def _stop_reason(self) -> StopReason | None:
        """Return the reason why the researcher has to end now, if there is one."""
        if stop := required_stop(self._runtime):
            return stop
        try:
            self._context.account.hold("transcript", "all", self._transcript.size, len(self._transcript.entries))
        except QuotaError as error:
            return StopReason("budget", str(error))
        return reached_limit(self._runtime, self._context.spend)

    def _should_stop_waiting(self) -> bool:
        """True if a waiting tool should return: an operator's command is pending, or the researcher has to end."""
        has_commands = self._runtime.pending_commands() or self._runtime.desired_state() != "working"
        return bool(has_commands) or self._stop_reason() is not None

    async def _note_failed_attempt(self, request: APIRequest, call_next: AsyncCallNext) -> Any:
        """Record each failed attempt, including those that the package retries by itself. Middleware of the client."""
        try:
            response = await call_next(request)
        except anthropic.APIConnectionError as error:
            self._record_failure(f"the model's endpoint was not reached ({error})")
            raise
        if response.status_code >= 400:
            self._record_failure(f"the model's endpoint answered {response.status_code}")
        return response

    def _record_failure(self, message: str) -> None:
        self._runtime.set_status(message)
        self._transcript.append("api_failure", message=message)

    def _show_block(self, kind: str) -> None:
        self._runtime.set_status("thinks" if "thinking" in kind else "writes")

    def _count(self, usage: Any, key: str, message: int) -> None:
        tokens = tokens_of(usage)
        dollars = self._price.dollars(tokens)
        name, model = self._context.name, self._settings.model
        counts, seconds = (tokens.prompt, tokens.cache_read, tokens.output, dollars), time.monotonic() - self._requested
        log.info("%s/%s: %d tokens in (%d cached), %d out, $%.4f, %.1f s", name, key, *counts, seconds)
        self._context.spend.add(name, f"{name}/{key}", model=model, tokens=tokens, resources=Resources(dollars=dollars))
        self._transcript.append("usage", message=message, model=model, tokens=vars(tokens), dollars=dollars)

    def _count_partial(self, stream: Any) -> None:
        """Count a reply that was cut off, because the part that arrived is paid for."""
        with suppress(AssertionError):  # raised by the package if nothing arrived
            usage = stream.current_message_snapshot.usage
            entry = self._transcript.append("api_failure", message="a reply was cut off")
            self._count(usage, f"cut/{entry.number}", entry.number)
