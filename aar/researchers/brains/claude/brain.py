"""The claude brain: a researcher that is a conversation with a language model.

The transcript is its memory: every message is in it before anything follows from it, and each attempt to go on begins
with what it says. So it may be killed at any moment, and loses at most the reply that was on its way.
"""

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any

import anthropic
from anthropic import APIRequest, AsyncCallNext
from anthropic.lib.tools import BetaAsyncStreamingToolRunner

from aar.budget import Resources, read_prices
from aar.errors import QuotaError
from aar.researchers.brains.claude.access import check_credentials
from aar.researchers.brains.claude.failures import TROUBLES, ApiFailure, Truncated, diagnose
from aar.researchers.brains.claude.prompts import first_words, nudge_words, system_words, words_anew
from aar.researchers.brains.claude.request import request_settings, tokens_of
from aar.researchers.brains.claude.tools import Dispatcher, runner_tools
from aar.researchers.commands import render_command, render_platform_note
from aar.researchers.context import ToolContext
from aar.researchers.runtime import ResearcherRuntime
from aar.researchers.stopping import StopReason, earlier_end, last_note
from aar.researchers.tools.executor import ToolExecutor
from aar.researchers.tools.forum import sync_forum
from aar.researchers.transcript import Transcript, TranscriptEntry
from aar.researchers.transcript.conversation import Conversation, calls_of, conversation

MOST_REFUSALS = 3
REPLY_BYTES = 2**20
"""Of a whole reply; the longest that a model writes are a few hundred kibibytes."""
POLL_SECONDS = 0.5
GO_ON = "(Your reply was cut off at its longest; go on.)"
CUT_OFF = "Your reply was cut off at its longest before this call was complete; it was not made. Write shorter replies."
REFUSED = "Your last reply was withheld by the model's safety system. Go on with your research in another way."

log = logging.getLogger(__name__)

Runner = BetaAsyncStreamingToolRunner[Any]
Block = dict[str, Any]


class ClaudeBrain:
    """One researcher's conversation. `run` returns when it has ended; how is in its transcript and on the forum."""

    def __init__(self, runtime: ResearcherRuntime, context: ToolContext, transcript: Transcript) -> None:
        """Raises ConfigError when its model has no price, or its prompt or direction cannot be read."""
        self._runtime, self._desk, self._transcript = runtime, context, transcript
        self._settings = context.researcher.claude or context.config.claude
        self._price = read_prices(self._settings.prices).price(self._settings.model)
        self._system = system_words(context.researcher, context.config, runtime.mark)
        runtime.last_applied = max(
            (one.data.get("last_command", 0) for one in transcript.entries if one.kind == "message"), default=0
        )
        context.wanted = self._is_wanted
        self._failures = self._refusals = 0
        self._asked = time.monotonic()

    def run(self) -> None:
        """Converse until the researcher ends.

        Raises:
            Exception: a fault of the platform, not of the model's endpoint; `run` may be called again.
        """
        asyncio.run(self._live())

    async def _live(self) -> None:
        if earlier_end(self._transcript.entries, self._runtime, self._desk.limits()):
            return
        check_credentials()
        mind = self._settings
        self._transcript.append("start", brain="claude", model=mind.model, effort=mind.effort, thinking=mind.thinking)
        async with anthropic.AsyncAnthropic(middleware=[self._watched]) as client:
            while (ending := self._ending()) is None:
                await asyncio.to_thread(self._runtime.wait_while_paused)
                try:
                    ending = await self._converse(client)
                except TROUBLES as error:
                    ending = await self._overcome(diagnose(error))
                if ending:
                    break
        self._end(ending or StopReason("stopped", "its time is up"))

    async def _watched(self, request: APIRequest, call_next: AsyncCallNext) -> Any:
        """Each attempt at a request, those too that the anthropic package makes again by itself: failures are told."""
        try:
            response = await call_next(request)
        except anthropic.APIConnectionError as error:
            self._note_failure(f"the model's endpoint was not reached ({error})")
            raise
        if response.status_code >= 400:
            self._note_failure(f"the model's endpoint answered {response.status_code}")
        return response

    def _note_failure(self, words: str) -> None:
        self._runtime.set_status(words)
        self._transcript.append("api_failure", words=words)

    def _ending(self) -> StopReason | None:
        """Why it ends now, if it does."""
        if self._runtime.desired_state() == "stopped":
            return StopReason("stopped", "a person stopped it")
        if self._runtime.stopping:
            return StopReason("time", "the campaign's time is up")
        try:
            self._desk.account.hold("transcript", "all", self._transcript.size, len(self._transcript.entries))
        except QuotaError as error:
            return StopReason("budget", str(error))
        limit = self._runtime.exceeded_limit(self._desk.spend)
        return StopReason("budget", limit.describe()) if limit else None

    def _is_wanted(self) -> bool:
        """Is there a reason for a tool that waits to wait no longer?"""
        asked = self._runtime.pending_commands() or self._runtime.desired_state() != "working"
        return bool(asked) or self._ending() is not None

    async def _converse(self, client: anthropic.AsyncAnthropic) -> StopReason | None:
        """Go on from what the transcript says until the model's turn ends, or something else comes up."""
        state = self._begun()
        dispatcher = Dispatcher(ToolExecutor(self._desk, self._transcript), self._runtime)
        if state.unanswered:
            await self._answer_rest(state, dispatcher)
            state = conversation(self._transcript.entries)
            if dispatcher.over:
                return StopReason("budget", str(dispatcher.over))
        self._runtime.set_status("thinks")
        self._asked = time.monotonic()
        settings = request_settings(self._settings, state.system or self._system)
        messages: Any = state.messages
        runner: Any = client.beta.messages.tool_runner(messages=messages, tools=runner_tools(dispatcher), **settings)
        try:
            return await self._take_turns(runner, dispatcher)
        finally:
            await runner.close()

    async def _take_turns(self, runner: Runner, dispatcher: Dispatcher) -> StopReason | None:
        """Reply after reply, each with its tool calls, until the runner stops or somebody is wanted elsewhere."""
        async for stream in runner:
            message = await self._read(stream)
            self._failures, self._refusals = 0, self._refusals if message.stop_reason == "refusal" else 0
            if message.stop_reason in ("pause_turn", "compaction"):
                self._record_reply(message)
                continue
            if message.stop_reason != "tool_use":
                return self._after_last_reply(message)
            entry = self._record_reply(message)
            if self._ending():
                return None
            dispatcher.announce(calls_of(entry.number, entry.data["content"]))
            response: Any = await runner.generate_tool_call_response()
            if dispatcher.fault:
                raise dispatcher.fault
            if response is None:
                raise Truncated("a reply asked for tools and named none")
            response["content"] = self._tell(response["content"])
            if dispatcher.over:
                return StopReason("budget", str(dispatcher.over))
            if self._ending() or self._runtime.desired_state() != "working":
                return None
            self._runtime.set_status("thinks")
            self._asked = time.monotonic()
        return None

    async def _read(self, stream: Any) -> Any:
        """A reply, once it is complete. Raises Cut when it is not; what it used until then is counted."""
        complete, size = False, 0
        try:
            async for event in stream:
                size += _length(event)
                if size > REPLY_BYTES:  # the package would parse it anew with each piece
                    raise Truncated(f"it is longer than {REPLY_BYTES} bytes")
                if event.type == "content_block_start":
                    self._runtime.set_status("thinks" if "thinking" in event.content_block.type else "writes")
            message = await stream.get_final_message()
            complete = message.stop_reason is not None
        except (ValueError, RuntimeError) as error:  # the package's, for events that make no reply
            raise Truncated(str(error)) from None
        finally:
            if not complete:
                self._count_cut(stream)
        if not complete:
            raise Truncated("the endpoint stopped in the middle of it")
        return message

    def _record_reply(self, message: Any) -> TranscriptEntry:
        content = [_plain(block) for block in message.content]
        entry = self._transcript.append(
            "message", role="assistant", content=content, id=message.id, model=message.model,
            stop_reason=message.stop_reason,
        )  # fmt: skip
        self._count(message.usage, f"message/{entry.number}", entry.number)
        return entry

    def _after_last_reply(self, message: Any) -> StopReason | None:
        """What follows a reply with which the model's turn ended."""
        if message.stop_reason == "refusal":
            return self._refused(message)
        if message.stop_reason == "model_context_window_exceeded":
            self._begin_anew("the context window was full")
            return None
        ended_twice = self._nudged()
        entry = self._record_reply(message)
        calls = calls_of(entry.number, entry.data["content"])
        if message.stop_reason == "max_tokens":
            self._tell([_result(call.id, CUT_OFF) for call in calls] or [self._said(GO_ON)])
        elif ended_twice:
            return StopReason("finished", "it saw nothing left to do")
        else:
            self._tell([self._said(nudge_words(self._desk.limits()))], note="nudge")
        return None

    def _refused(self, message: Any) -> StopReason | None:
        content = [_plain(block) for block in message.content]
        entry = self._transcript.append("api_failure", words="the reply was withheld (refusal)", content=content)
        self._count(message.usage, f"message/{entry.number}", entry.number)
        self._refusals += 1
        if self._refusals >= MOST_REFUSALS:
            return StopReason("failed", f"{MOST_REFUSALS} replies in a row were withheld by the model's safety system")
        self._runtime.set_status("a reply was withheld; it goes on in another way")
        self._tell([self._said(REFUSED)])
        return None

    async def _overcome(self, trouble: ApiFailure) -> StopReason | None:
        """Do what helps against a request's failure."""
        fresh = not any(one["role"] == "assistant" for one in conversation(self._transcript.entries).messages)
        if trouble.remedy == "give up" or (trouble.remedy == "begin anew" and fresh):
            self._transcript.append("api_failure", words=trouble.words)
            return StopReason("failed", trouble.words)
        if trouble.remedy == "begin anew":
            self._transcript.append("api_failure", words=trouble.words)
            self._begin_anew(trouble.words)
            return None
        self._failures += 1
        seconds = trouble.wait_seconds(self._failures)
        self._transcript.append("api_failure", words=trouble.words, attempt=self._failures, waits=seconds)
        await self._wait(trouble.words, seconds)
        return None

    async def _wait(self, words: str, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        while (left := until - asyncio.get_running_loop().time()) > 0 and self._ending() is None:
            self._runtime.set_status(f"{words}; tries again (attempt {self._failures + 1}) after {seconds:.0f} s")
            await asyncio.sleep(min(left, POLL_SECONDS))

    def _begun(self) -> Conversation:
        """The conversation, which begins now if it has not."""
        state = conversation(self._transcript.entries)
        if state.system is None:
            self._transcript.append("reset", system=self._system, why="first")
        if not state.messages:
            self._tell([_text(first_words(self._desk.researcher, self._desk.limits()))])
        return conversation(self._transcript.entries)

    def _begin_anew(self, why: str) -> None:
        self._transcript.append("reset", system=self._system, why=why)
        told = words_anew(self._runtime.direction(), self._desk.limits(), why, self._desk.notes.all())
        self._tell([self._said(told)])

    async def _answer_rest(self, state: Conversation, dispatcher: Dispatcher) -> None:
        """Answer the calls of a reply after which an earlier process, or attempt, was ended."""
        results = []
        for call in state.unanswered:
            answer = await dispatcher.answer(call)
            results.append(_result(call.id, answer.text, answer.is_error))
        self._tell(results)

    def _tell(self, content: list[Block], **data: Any) -> list[Block]:
        """The next message to the model: `content`, and what happened meanwhile: people's wishes, new posts."""
        commands, new = self._runtime.pending_commands(), sync_forum(self._desk)
        content = [*content, *(_text(render_command(command, self._runtime.mark)) for command in commands)]
        if new:
            content.append(self._said(f"{new} new posts on the forum, also in /shared/forum"))
        last_applied = {"last_command": commands[-1].number} if commands else {}
        self._transcript.append("message", role="user", content=content, **last_applied, **data)
        for command in commands:
            self._runtime.last_applied = command.number
            self._transcript.append(
                "command", number=command.number, by=command.by, action=command.action, text=command.text
            )
        return content

    def _said(self, text: str) -> Block:
        return _text(render_platform_note(text, self._runtime.mark))

    def _nudged(self) -> bool:
        """Was ending its turn what it did last, too?"""
        told = [entry for entry in self._transcript.entries if entry.kind == "message" and entry.data["role"] == "user"]
        return bool(told) and told[-1].data.get("note") == "nudge"

    def _count(self, usage: Any, key: str, message: int) -> None:
        tokens = tokens_of(usage)
        dollars = self._price.dollars(tokens)
        name, model = self._desk.name, self._settings.model
        counted, seconds = (tokens.prompt, tokens.cache_read, tokens.output, dollars), time.monotonic() - self._asked
        log.info("%s/%s: %d tokens in (%d cached), %d out, $%.4f, %.1f s", name, key, *counted, seconds)
        self._desk.spend.add(name, f"{name}/{key}", model=model, tokens=tokens, amounts=Resources(dollars=dollars))
        self._transcript.append("usage", message=message, model=model, tokens=vars(tokens), dollars=dollars)

    def _count_cut(self, stream: Any) -> None:
        """A reply that was cut off is paid for as far as it came."""
        with suppress(AssertionError):  # nothing came
            usage = stream.current_message_snapshot.usage
            entry = self._transcript.append("api_failure", words="a reply was cut off")
            self._count(usage, f"cut/{entry.number}", entry.number)

    def _end(self, ending: StopReason) -> None:
        self._runtime.count_time(self._desk.spend, all_of_it=True)
        last_note(ending, self._desk, self._transcript)
        self._transcript.append("end", reason=ending.kind, why=ending.why)
        self._runtime.set_status(f"ended: {ending.why}")


def _plain(block: Any) -> Block:
    """A block of a reply as it is sent back."""
    plain: Block = block.to_dict(mode="json")
    plain.pop("parsed_output", None)
    return plain


def _length(event: Any) -> int:
    """How much an event adds to a reply."""
    piece = getattr(event, "delta", None) or getattr(event, "content_block", None)
    known = vars(piece).items() if event.type in ("content_block_start", "content_block_delta") else ()
    return sum(len(value) for name, value in known if name != "type" and isinstance(value, str))


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _result(id: str, text: str, is_error: bool = True) -> Block:
    return {"type": "tool_result", "tool_use_id": id, "content": text, **({"is_error": True} if is_error else {})}
