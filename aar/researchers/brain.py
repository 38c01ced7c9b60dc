"""What decides in a researcher."""

from typing import Protocol

from aar.researchers.tools import Tools


class Brain(Protocol):
    """Decides what to try next. A new one must be able to go on where a killed one stopped, from the forum alone."""

    def step(self, tools: Tools) -> bool:
        """Do one unit of work, usually one experiment. False: there is nothing more to do."""
