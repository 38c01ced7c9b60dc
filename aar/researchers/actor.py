"""A researcher: one Ray actor with a brain, a direction and tools, which works until its budget is used up.

The actor holds no state that matters. It may be killed at any moment: Ray restarts it, and its brain resumes from the
campaign's folder. It runs on the node that has this folder.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import ray
from ray.actor import ActorHandle

from aar.config import CampaignConfig, ResearcherConfig
from aar.logs import printable_errors
from aar.ray_utils import log_to_ray, start_actor
from aar.researchers.client import CampaignClient
from aar.researchers.directions import direction_name
from aar.researchers.ray_client import RayCampaignClient
from aar.researchers.runtime import ResearcherRuntime
from aar.researchers.transcript import Transcript, transcript_folder


class Brain(Protocol):
    """Decides what a researcher does. A new one must resume where a killed one stopped, from what is on disk alone."""

    def run(self) -> None:
        """Work until the researcher ends. Raises AarError if the platform failed; it may be called again."""


class ConcurrencyLimiter:
    """Admits up to `most` concurrent callers and rejects the rest immediately. Safe for any thread."""

    def __init__(self, most: int) -> None:
        self._places = threading.Semaphore(most)

    @contextmanager
    def acquired(self) -> Iterator[bool]:
        """Hold a place until the block ends. Yields False if none was left."""
        is_admitted = self._places.acquire(blocking=False)
        try:
            yield is_admitted
        finally:
            if is_admitted:
                self._places.release()


CALLS_AT_ONCE = 16
THREADS = CALLS_AT_ONCE + 4
"""`run` occupies one thread. The others reject calls in excess of CALLS_AT_ONCE."""
RESTARTS = 5
"""How often Ray restarts a lost process before the driver records a failure of the researcher."""
WATCHING = "watching"
"""Monitoring and stop calls have their own concurrency group, so blocked tool calls cannot starve them."""


class Researcher:
    """The actor of one researcher. `run` occupies one of its threads; the others answer monitoring and tool calls."""

    def __init__(self, researcher: ResearcherConfig, config: CampaignConfig, folder: str) -> None:
        """Raises ConfigError if its direction, prompt or price cannot be read."""
        log_to_ray()
        self._researcher = researcher
        with printable_errors():  # the transcript is read here, and errors may quote it
            self._runtime = ResearcherRuntime(researcher, config, Path(folder))
            client = RayCampaignClient(researcher.name)
            self._brain = _BRAINS[researcher.brain](self._runtime, client, Path(folder))
        self._gate = ConcurrencyLimiter(CALLS_AT_ONCE)

    def __repr__(self) -> str:
        return title(self._researcher)

    def run(self) -> None:
        """Work until the researcher ends, or until `stop`.

        Raises:
            Exception: of any type. Nothing acknowledged is lost, and `run` may be called again, also on a new actor.
        """
        self._brain.run()

    @ray.method(concurrency_group=WATCHING)  # type: ignore[untyped-decorator]
    def stop(self) -> None:
        """Wind down, because the time is up: start nothing further."""
        self._runtime.stop()

    @ray.method(concurrency_group=WATCHING)  # type: ignore[untyped-decorator]
    def status(self) -> str:
        """Return what the researcher is doing now."""
        return self._runtime.status

    def call(self, tool: str, arguments: object, key: str | None = None) -> tuple[str, bool]:
        """Answer a tool call of an external researcher: return a text, and True if it is an error.

        A call counts towards CALLS_AT_ONCE until it is answered, even if its caller is gone by then.
        """
        from aar.researchers.brains.external.brain import ExternalBrain

        if not isinstance(self._brain, ExternalBrain):
            name = self._researcher.name
            return f'{name} is not an external researcher; only brain = "external" accepts tool calls', True
        with self._gate.acquired() as acquired:
            if not acquired:
                return f"not done: too many concurrent calls (limit {CALLS_AT_ONCE}); retry when one is answered", True
            answer = self._brain.call(tool, arguments, key)
        return answer.text, answer.is_error


def _search(runtime: ResearcherRuntime, client: CampaignClient, folder: Path) -> Brain:
    from aar.researchers.brains.search.brain import SearchBrain

    return SearchBrain(runtime, client)


def _claude(runtime: ResearcherRuntime, client: CampaignClient, folder: Path) -> Brain:
    from aar.researchers.brains.claude.brain import ClaudeBrain
    from aar.researchers.context import ToolContext

    return ClaudeBrain(
        runtime, ToolContext(runtime, client, folder), Transcript(transcript_folder(folder, client.name))
    )


def _external(runtime: ResearcherRuntime, client: CampaignClient, folder: Path) -> Brain:
    from aar.researchers.brains.external.brain import ExternalBrain
    from aar.researchers.context import ToolContext

    context = ToolContext(runtime, client, folder)
    return ExternalBrain(runtime, context, Transcript(transcript_folder(folder, client.name)))


_BRAINS = {"search": _search, "claude": _claude, "external": _external}


def title(researcher: ResearcherConfig) -> str:
    """Return the title of a researcher in the Ray dashboard and in logs."""
    return f"aar-{researcher.name} · {direction_name(researcher.direction)}"


def actor_name(researcher: str) -> str:
    """Return the name of a researcher's actor in its campaign's namespace. A new direction does not change it."""
    return f"researcher-{researcher}"


ACTOR_OPTIONS: dict[str, Any] = {
    "max_concurrency": THREADS,
    "concurrency_groups": {WATCHING: 2},
    "max_restarts": RESTARTS,
}


def start_researcher(
    researcher: ResearcherConfig, config: CampaignConfig, folder: Path, namespace: str
) -> ActorHandle[Any]:
    """Start the actor of a researcher. It lives as long as the campaign's driver."""
    name = actor_name(researcher.name)
    return start_actor(Researcher, name, namespace, researcher, config, str(folder), **ACTOR_OPTIONS)
