"""The search brain's life: step by step, until nothing is left to try or somebody ends it. Implements Brain."""

from aar.researchers.agent_tools import Tools
from aar.researchers.brains.search.brain import SearchBrain
from aar.researchers.runtime import Life


class SearchMind:
    """Runs the steps of a search brain."""

    def __init__(self, life: Life, tools: Tools) -> None:
        self._life, self._tools, self._brain = life, tools, SearchBrain()

    def run(self) -> None:
        """Work until nothing is left to do, or until it is stopped. Raises AarError: whatever a tool raises."""
        while not self._ended() and self._brain.step(self._tools):
            self._life.wait_while_paused()
        self._life.say("stopped" if self._ended() else "finished")

    def _ended(self) -> bool:
        return self._life.stopping or self._life.standing() == "stopped"
