"""The search brain's life: step by step, until nothing is left to try or somebody ends it. Implements Brain."""

from aar.researchers.agent_tools import Tools
from aar.researchers.brains.search.brain import SearchPolicy
from aar.researchers.runtime import ResearcherRuntime


class SearchBrain:
    """Runs the steps of a search brain."""

    def __init__(self, runtime: ResearcherRuntime, tools: Tools) -> None:
        self._runtime, self._tools, self._brain = runtime, tools, SearchPolicy()

    def run(self) -> None:
        """Work until nothing is left to do, or until it is stopped. Raises AarError: whatever a tool raises."""
        while not self._ended() and self._brain.step(self._tools):
            self._runtime.wait_while_paused()
        self._runtime.set_status("stopped" if self._ended() else "finished")

    def _ended(self) -> bool:
        return self._runtime.stopping or self._runtime.desired_state() == "stopped"
