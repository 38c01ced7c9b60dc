"""Executes each tool call exactly once, even across crashes.

The start of a call is on disk before it runs, and its result before anybody sees it. So the process that resumes after
a crash knows the state of every call. A call with a result is not repeated. A call without one is repeated under its
key if the tool is idempotent. Otherwise the answer is a warning that it may have happened.
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
from aar.researchers.tools import find, label
from aar.researchers.tools.tool import Call, check_call
from aar.researchers.transcript import Transcript
from aar.researchers.transcript.conversation import Conversation, conversation
from aar.text import fitted_line

WHOLE_CHARACTERS = 2 * 2**20
MOST_CHARACTERS = 16_000
HEAD, TAIL = 10_000, 5_000
FAULT_CHARACTERS = 500
INTERRUPTED = (
    "The platform was interrupted during this call. It may have happened, in part or in full, and was not repeated. "
    "Check the current state before you try again. The shell has restarted in /work."
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """The answer to a call."""

    text: str
    is_error: bool


class ToolExecutor:
    """Executes the calls of one researcher and writes its transcript. Safe for any thread."""

    def __init__(self, context: ToolContext, transcript: Transcript) -> None:
        self._context, self._transcript = context, transcript
        self._before: Conversation = conversation(transcript.entries)
        self._answers: dict[str, Future[Answer]] = {}
        self._turn = threading.Lock()

    def answer(self, tool: str, arguments: Any, call_id: str, id: str | None = None) -> Answer:
        """Answer a call, or repeat its earlier answer. A second caller waits for the answer of a running call.

        A call that is too large is answered with an error and leaves no trace.

        Args:
            call_id: unique among all calls of this researcher.
            id: the model's own id of the call.

        Raises:
            BudgetError: a limit of the researcher ends it here; the call was not carried out.
            CampaignError: a part of the platform is gone.
            StorageError: the transcript cannot be written.
        """
        earlier = self._before.results.get(call_id)
        if earlier:
            return Answer(*earlier)
        try:
            check_call(tool, arguments)
        except ToolError as refusal:
            self._log("a call", call_id, 0.0, "refused")
            return Answer(str(refusal), True)
        with self._turn:
            is_first = call_id not in self._answers
            pending = self._answers.setdefault(call_id, Future())
        if not is_first:
            return pending.result()
        try:
            answer = self._execute(tool, arguments, call_id, id)
        except BaseException as fault:
            pending.set_exception(fault)
            raise
        pending.set_result(answer)
        return answer

    def _execute(self, tool: str, arguments: Any, call_id: str, id: str | None) -> Answer:
        is_retry = call_id in self._before.begun
        if not is_retry:
            try:
                self._reserve_space(arguments)
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
        # Arguments, and everything that a tool reads, are foreign input. A fault that they cause becomes an answer: it
        # must not end the researcher.
        except Exception as fault:
            log.exception("%s: the tool %.80r failed", self._context.name, tool)
            answer = Answer(fitted_line(f"not done: {type(fault).__name__}: {fault}", FAULT_CHARACTERS), True)
        return self._record(answer, call_id, id, tool, began)

    def _reserve_space(self, arguments: Any) -> None:
        """Reserve space for one more call in the transcript. Its result is bounded and always written."""
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
        """Write the full result of a call and return the bounded answer. Neither contains an operator's mark."""
        text, cut = without_marks(answer.text), len(answer.text) - WHOLE_CHARACTERS
        text = f"{text[:WHOLE_CHARACTERS]}\n[{cut} characters were discarded]" if cut > 0 else text
        bounded, seconds = Answer(self._bounded(text, call_id), answer.is_error), time.monotonic() - began
        self._log(tool, call_id, seconds, "refused" if answer.is_error else "answered")
        whole = {} if bounded.text == text else {"whole": text}
        self._transcript.append(
            "result", call_id=call_id, id=id, tool=tool, text=bounded.text, is_error=bounded.is_error,
            seconds=round(seconds, 3), **whole,
        )  # fmt: skip
        return bounded

    def _log(self, tool: str, call_id: str, seconds: float, status: str) -> None:
        name = self._context.name
        log.info("%.80s %s/%s: %s after %.1f s", tool, name, call_id, status, seconds)
        metrics.TOOL_CALLS.add(researcher=name, tool=label(tool), status=status)
        metrics.TOOL_SECONDS.add(seconds, researcher=name, tool=label(tool))

    def _bounded(self, text: str, call_id: str) -> str:
        """Return `text`, or its beginning and end and the place of the full text."""
        text = _encodable(text)
        if len(text) <= MOST_CHARACTERS:
            return text
        tail = text[-TAIL:].partition("\n")[2]  # starts at a line, so that every quoted line keeps its "> "
        left_out = len(text) - HEAD - len(tail)
        where = self._save(text, f"outputs/{call_id}.txt")
        return f"{text[:HEAD]}\n\n[... {left_out} characters left out; {where} ...]\n\n{tail}"

    def _save(self, text: str, name: str) -> str:
        """Save a long text where the researcher can read it, and return a description of that place."""
        content = text.encode()
        try:
            self._context.account.hold("shared", name, len(content))
        except QuotaError as error:
            return str(error)
        return f"full text in {self._context.shared.write(name, content)}: read it with grep, sed -n or files view"


def _encodable(text: str) -> str:
    """Replace lone surrogates, which the API's JSON cannot carry, and NUL."""
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
