"""The registry's tools as the tool runner of the `anthropic` package takes them."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

from anthropic.lib.tools import BetaAsyncBuiltinFunctionTool, BetaFunctionToolResultType, ToolError
from anthropic.types.beta import BetaToolUnionParam

from aar.errors import BudgetError
from aar.researchers.runtime import ResearcherRuntime
from aar.researchers.tools import TOOLS, Tool
from aar.researchers.tools.executor import Answer, ToolExecutor
from aar.researchers.transcript.conversation import ToolCall


class Dispatcher:
    """Answers the calls of one reply after another.

    The tool runner calls tools in their order in the reply, without saying which call it is about; so the calls are
    announced here first, from the transcript, with the place of each in the researcher's life.

    Attributes:
        over: the limit that ended the researcher in the middle of a reply's calls.
        fault: what the platform failed of; the tool runner would have told the model.
    """

    def __init__(self, caller: ToolExecutor, runtime: ResearcherRuntime) -> None:
        self._caller, self._runtime = caller, runtime
        self._announced: deque[ToolCall] = deque()
        self.over: BudgetError | None = None
        self.fault: BaseException | None = None

    def announce(self, calls: Iterable[ToolCall]) -> None:
        """These are the calls of the reply whose tools are run next."""
        self._announced = deque(calls)

    async def next_answer(self, tool: str) -> Answer:
        """The answer to the next announced call of `tool`."""
        call = self._announced.popleft()
        while call.tool != tool:  # the runner itself answers calls of tools that there are not
            call = self._announced.popleft()
        return await self.answer(call)

    async def answer(self, call: ToolCall) -> Answer:
        """The answer to a call; keeps what ends the researcher."""
        if self.over:
            return Answer(f"not done: {self.over}", True)
        self._runtime.set_status(f"uses {call.tool}")
        try:
            return await asyncio.to_thread(self._caller.answer, call.tool, call.arguments, call.call_id, call.id)
        except BudgetError as error:
            self.over = error
            return Answer(f"not done: {error}", True)
        # The runner makes an answer for the model of whatever is raised; the platform's own faults must get through.
        except BaseException as fault:
            self.fault = fault
            raise


class RunnerTool(BetaAsyncBuiltinFunctionTool):
    """One tool of the registry for the tool runner."""

    def __init__(self, tool: Tool, dispatcher: Dispatcher) -> None:
        self._tool, self._dispatcher = tool, dispatcher
        # The runner asks for it several times a request, and pydantic makes a schema anew each time.
        self._definition: Any = {
            "name": tool.name, "description": tool.description, "input_schema": tool.schema(),
        }  # fmt: skip

    def to_dict(self) -> BetaToolUnionParam:
        definition: BetaToolUnionParam = self._definition
        return definition

    async def call(self, input: object) -> BetaFunctionToolResultType:
        answer = await self._dispatcher.next_answer(self._tool.name)
        if answer.is_error:
            raise ToolError(answer.text)
        return answer.text


def runner_tools(dispatcher: Dispatcher) -> list[RunnerTool]:
    """Every tool, in the registry's order, which a prompt cache depends on."""
    return [RunnerTool(tool, dispatcher) for tool in TOOLS]
