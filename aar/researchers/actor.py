"""A researcher: one Ray actor with a brain, a direction and its tools, that works until its budget is used up.

The actor keeps nothing that matters: killed at any moment, it is started again and its brain reads from the campaign's
folder where it was. It runs on the node that has this folder.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import ray
from ray.actor import ActorHandle

from aar.budget import UsageStore
from aar.config import CampaignConfig, ResearcherConfig
from aar.logs import printable_errors
from aar.ray_utils import log_to_ray, start_actor
from aar.researchers.directions import direction_name
from aar.researchers.ray_client import RayCampaignClient
from aar.researchers.runtime import ResearcherRuntime


class Brain(Protocol):
    """Decides what a researcher does. A new one must resume where a killed one stopped, from what is on disk alone."""

    def run(self) -> None:
        """Work until the researcher ends. Raises AarError if the platform failed; it may be called again."""


class ConcurrencyLimiter:
    """Admits a number of callers at a time and turns the others away at once. For any thread."""

    def __init__(self, most: int) -> None:
        self._places = threading.Semaphore(most)

    @contextmanager
    def acquired(self) -> Iterator[bool]:
        """A place until the block ends; False: there was none left."""
        got = self._places.acquire(blocking=False)
        try:
            yield got
        finally:
            if got:
                self._places.release()


CALLS_AT_ONCE = 16
THREADS = CALLS_AT_ONCE + 4
"""One of them is `run`'s; the others are left to refuse calls that are too many."""
RESTARTS = 5
"""So often Ray starts a lost process again; then the driver notes it as a failure of the researcher's."""
WATCHING = "watching"
"""Those who watch or stop a researcher have threads of their own, so that calls that wait keep nobody from it."""


class Researcher:
    """One researcher's life. `run` occupies one of its threads; the others answer those who watch or call."""

    def __init__(self, researcher: ResearcherConfig, config: CampaignConfig, folder: str) -> None:
        """Raises ConfigError when its direction, prompt or price cannot be read."""
        log_to_ray()
        self._researcher = researcher
        with printable_errors():  # what it has written is read here
            self._runtime = ResearcherRuntime(researcher, config, Path(folder))
            self._brain = _BRAINS[researcher.brain](self._runtime, Path(folder))
        self._gate = ConcurrencyLimiter(CALLS_AT_ONCE)

    def __repr__(self) -> str:
        return title(self._researcher)

    def run(self) -> None:
        """Work until it ends, or until `stop`.

        Raises:
            Exception: of any type; nothing acknowledged is lost, and `run` may be called again, of a new actor too.
        """
        self._brain.run()

    @ray.method(concurrency_group=WATCHING)  # type: ignore[untyped-decorator]
    def stop(self) -> None:
        """Its time is up: begin nothing further."""
        self._runtime.stop()

    @ray.method(concurrency_group=WATCHING)  # type: ignore[untyped-decorator]
    def status(self) -> str:
        """What it is doing now."""
        return self._runtime.status

    def call(self, tool: str, arguments: object, key: str | None = None) -> tuple[str, bool]:
        """Answer a tool call for whoever thinks for an external researcher: a text, and whether it is an error.

        Whoever made a call may be gone while it waits; it counts among the CALLS_AT_ONCE until it is answered.
        """
        from aar.researchers.brains.external.brain import ExternalBrain

        if not isinstance(self._brain, ExternalBrain):
            return f'{self._researcher.name} thinks for itself; calls are for researchers with brain = "external"', True
        with self._gate.acquired() as acquired:
            if not acquired:
                return f"not done: {CALLS_AT_ONCE} calls of yours wait; call again when one is answered", True
            answer = self._brain.call(tool, arguments, key)
        return answer.text, answer.is_error


def _search(runtime: ResearcherRuntime, folder: Path) -> Brain:
    from aar.researchers.brains.search.brain import SearchBrain

    return SearchBrain(runtime, RayCampaignClient(runtime.researcher.name))


def _claude(runtime: ResearcherRuntime, folder: Path) -> Brain:
    from aar.researchers.brains.claude.brain import ClaudeBrain

    return ClaudeBrain(runtime, *_context_and_transcript(runtime, folder))


def _external(runtime: ResearcherRuntime, folder: Path) -> Brain:
    from aar.researchers.brains.external.brain import ExternalBrain

    return ExternalBrain(runtime, *_context_and_transcript(runtime, folder))


_BRAINS = {"search": _search, "claude": _claude, "external": _external}


def _context_and_transcript(runtime: ResearcherRuntime, folder: Path) -> Any:
    from aar.researchers.context import ResearcherPaths, ToolContext
    from aar.researchers.tools.shared_folder import populate_shared_folder
    from aar.researchers.transcript import Transcript, transcript_folder

    name = runtime.researcher.name
    client = RayCampaignClient(name)
    context = ToolContext(
        runtime.researcher,
        runtime.config,
        ResearcherPaths.of(folder, name),
        client,
        UsageStore(folder),
        runtime.account,
    )
    populate_shared_folder(context.shared, client)
    runtime.interrupt = context.interrupt
    return context, Transcript(transcript_folder(folder, name))


def title(researcher: ResearcherConfig) -> str:
    """What a researcher is called in the Ray dashboard and in logs."""
    return f"aar-{researcher.name} · {direction_name(researcher.direction)}"


def actor_name(researcher: str) -> str:
    """The name of a researcher's actor in its campaign's namespace, which a new direction does not change."""
    return f"researcher-{researcher}"


ACTOR_OPTIONS: dict[str, Any] = {
    "max_concurrency": THREADS,
    "concurrency_groups": {WATCHING: 2},
    "max_restarts": RESTARTS,
}


def start_researcher(
    researcher: ResearcherConfig, config: CampaignConfig, folder: Path, namespace: str
) -> ActorHandle[Any]:
    """A researcher that lives as long as the campaign's driver."""
    name = actor_name(researcher.name)
    return start_actor(Researcher, name, namespace, researcher, config, str(folder), **ACTOR_OPTIONS)
