"""Executes tool calls, each exactly once, whatever crashes in between.

The start of a call is on disk before it runs, and its result before anybody sees it. So the process that resumes after
a crash knows the state of every call. A call with a result is not made again. A call without one is made again under
its key if the tool is idempotent; otherwise the answer is a warning that it may have happened.
"""

import json
import logging
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from aar import metrics
from aar.commons.quoting import without_marks
from aar.errors import AarError, BudgetError, CampaignError, QuotaError, ToolError
from aar.researchers.context import ToolContext
from aar.researchers.tools.registry import find, label
from aar.researchers.tools.tool import Call, check_call
from aar.researchers.transcript import Transcript
from aar.researchers.transcript.conversation import Conversation, conversation
from aar.text import fitted_line

WHOLE_CHARACTERS = 2 * 2**20
MOST_CHARACTERS = 16_000
HEAD, TAIL = 10_000, 5_000
FAULT_CHARACTERS = 500
INTERRUPTED = (
    "The platform was interrupted while this ran. It may have happened, in part or in full, and is not repeated. Check "
    "the current state before you do it again; a shell restarts in /work."
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """The answer to a call."""

    text: str
    is_error: bool


class ToolExecutor:
    """Executes the calls of one researcher, from any thread, and writes its transcript."""

    def __init__(self, context: ToolContext, transcript: Transcript) -> None:
        self._context, self._transcript = context, transcript
        self._before: Conversation = conversation(transcript.entries)
        self._answers: dict[str, Future[Answer]] = {}
        self._turn = threading.Lock()

    def answer(self, tool: str, arguments: Any, call_id: str, id: str | None = None) -> Answer:
        """Answer a call, or repeat its earlier answer. A second caller waits for the answer of a call that runs.

        Args:
            call_id: names the call among all calls of this researcher.
            id: the model's own id of it.

        A call that is too large is answered with an error and leaves no trace.

        Raises:
            BudgetError: a limit of the researcher ends it here; the call was not carried out.
            CampaignError: a part of the platform is gone.
            StorageError: the transcript cannot be written.
        """
        known = self._before.results.get(call_id)
        if known:
            return Answer(*known)
        try:
            check_call(tool, arguments)
        except ToolError as refusal:
            self._log("a call", call_id, 0.0, "refused")
            return Answer(str(refusal), True)
        with self._turn:
            is_first = call_id not in self._answers
            coming = self._answers.setdefault(call_id, Future())
        if not is_first:
            return coming.result()
        try:
            answer = self._answered(tool, arguments, call_id, id)
        except BaseException as fault:
            coming.set_exception(fault)
            raise
        coming.set_result(answer)
        return answer

    def _answered(self, tool: str, arguments: Any, call_id: str, id: str | None) -> Answer:
        is_retry = call_id in self._before.begun
        if not is_retry:
            try:
                self._make_room(arguments)
                self._transcript.append("call", call_id=call_id, id=id, tool=tool, arguments=arguments)
            except ValueError as error:
                self._log(tool, call_id, 0.0, "refused")
                return Answer(fitted_line(f"not done: the arguments: {error}", FAULT_CHARACTERS), True)
        began = time.monotonic()
        try:
            answer = Answer(self._run(tool, arguments, call_id, is_retry), False)
        except BudgetError as error:
            self._record(Answer(f"not done: {error}", True), call_id, id, tool, began)
            raise
        except CampaignError:
            raise
        except AarError as error:
            answer = Answer(str(error), True)
        # Arguments, and everything that a tool reads, are foreign input. A fault that they cause is an answer: it must
        # not end the researcher.
        except Exception as fault:
            log.exception("%s: the tool %.80r failed", self._context.name, tool)
            answer = Answer(fitted_line(f"not done: {type(fault).__name__}: {fault}", FAULT_CHARACTERS), True)
        return self._record(answer, call_id, id, tool, began)

    def _make_room(self, arguments: Any) -> None:
        """Reserve room for one more call in the transcript. Its result is bounded and always written."""
        size, entries = self._transcript.size + len(json.dumps(arguments)), len(self._transcript.entries) + 1
        try:
            self._context.account.hold("transcript", "all", size, entries)
        except QuotaError as error:
            raise BudgetError(str(error)) from None

    def _run(self, name: str, arguments: Any, call_id: str, is_retry: bool) -> str:
        tool = find(name)
        if is_retry and not tool.idempotent:
            raise ToolError(INTERRUPTED)
        return tool.run(self._context, Call(tool.parse(arguments), f"{self._context.name}/{call_id}", is_retry))

    def _record(self, answer: Answer, call_id: str, id: str | None, tool: str, began: float) -> Answer:
        """Write the full result of a call and return the bounded answer to it. Neither contains anybody's mark."""
        text, cut = without_marks(answer.text), len(answer.text) - WHOLE_CHARACTERS
        text = f"{text[:WHOLE_CHARACTERS]}\n[{cut} characters are not kept]" if cut > 0 else text
        told, seconds = Answer(self._bounded(text, call_id), answer.is_error), time.monotonic() - began
        self._log(tool, call_id, seconds, "refused" if answer.is_error else "answered")
        whole = {} if told.text == text else {"whole": text}
        self._transcript.append(
            "result", call_id=call_id, id=id, tool=tool, text=told.text, is_error=told.is_error,
            seconds=round(seconds, 3), **whole,
        )  # fmt: skip
        return told

    def _log(self, tool: str, call_id: str, seconds: float, status: str) -> None:
        name = self._context.name
        log.info("%.80s %s/%s: %s after %.1f s", tool, name, call_id, status, seconds)
        metrics.TOOL_CALLS.add(researcher=name, tool=label(tool), status=status)
        metrics.TOOL_SECONDS.add(seconds, researcher=name, tool=label(tool))

    def _bounded(self, text: str, call_id: str) -> str:
        """`text`, or its beginning and end and where the whole of it is."""
        text = _encodable(text)
        if len(text) <= MOST_CHARACTERS:
            return text
        tail = text[-TAIL:].partition("\n")[2]  # from a line's beginning, so that what is quoted keeps its mark
        left_out = len(text) - HEAD - len(tail)
        where = self._kept(text, f"outputs/{call_id}.txt")
        return f"{text[:HEAD]}\n\n[... {left_out} characters left out; {where} ...]\n\n{tail}"

    def _kept(self, text: str, name: str) -> str:
        """Keep a long text where the researcher can read it; in words, where that is."""
        content = text.encode()
        try:
            self._context.account.hold("shared", name, len(content))
        except QuotaError as error:
            return str(error)
        return f"the whole is in {self._context.shared.write(name, content)}: read it with grep, sed -n or files view"


def _encodable(text: str) -> str:
    """`text` without halves of surrogate pairs, which no JSON of the API can carry, and without NUL."""
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
