"""A researcher: one Ray actor with a brain, a direction and its tools, that works until its budget is used up.

The actor keeps nothing that matters: killed at any moment, Ray starts it again and its brain reads from the forum
where it was.
"""

import logging
import threading
from typing import Any

import ray
from ray.actor import ActorHandle

from aar.config import CampaignConfig, ResearcherConfig
from aar.researchers.brain import Brain
from aar.researchers.directions import direction_name
from aar.researchers.search.brain import SearchBrain
from aar.researchers.toolbox import Toolbox

BRAINS: dict[str, type[Brain]] = {"search": SearchBrain}


class Researcher:
    """One researcher's life. `run` occupies one of its threads; the others answer those who watch."""

    def __init__(self, researcher: ResearcherConfig, config: CampaignConfig) -> None:
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        self._researcher = researcher
        self._tools = Toolbox(researcher, config)
        self._brain = BRAINS[researcher.brain]()
        self._stopping = threading.Event()

    def __repr__(self) -> str:
        return title(self._researcher)

    def run(self) -> None:
        """Work until nothing is left to do, or until `stop`.

        Raises:
            AarError: a part of the platform failed; nothing acknowledged is lost, and `run` may be called again.
        """
        while not self._stopping.is_set() and self._brain.step(self._tools):
            pass
        self._tools.say("stopped" if self._stopping.is_set() else "finished")

    def stop(self) -> None:
        """Begin no further step."""
        self._stopping.set()

    def activity(self) -> str:
        """What it is doing now."""
        return self._tools.activity


def title(researcher: ResearcherConfig) -> str:
    """What a researcher is called in the Ray dashboard and in logs."""
    return f"aar-{researcher.name} · {direction_name(researcher.direction)}"


def start_researcher(researcher: ResearcherConfig, config: CampaignConfig, namespace: str) -> ActorHandle[Any]:
    """A researcher that lives as long as the campaign's driver."""
    actor = ray.remote(Researcher).options(
        name=title(researcher),
        namespace=namespace,
        num_cpus=0,
        max_concurrency=4,
        max_restarts=-1,
        max_task_retries=-1,
        get_if_exists=True,
    )
    return actor.remote(researcher, config)
