"""A process that stands for a campaign: its lock, its Ray, and one external researcher whose tools are doubles.

    python -m tests.gateway.open_campaign FOLDER

The tool "wait" answers after half a minute; every other tool answers with the call's key and this process's id.
"""

import fcntl
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ray

from aar.campaign.folder import ADDRESS_FILE, LOCK_FILE, VERSION_FILE
from aar.config import ResearcherConfig
from aar.ray_utils import start_actor
from aar.researchers.actor import ACTOR_OPTIONS, CALLS_AT_ONCE, ConcurrencyLimiter, Researcher, actor_name
from aar.researchers.brains.external.brain import ExternalBrain
from aar.researchers.tools.executor import Answer

WAIT_SECONDS = 30


class Brain(ExternalBrain):
    """Answers without a desk."""

    def __init__(self, driver: int) -> None:
        self._driver = driver

    def call(self, tool: str, arguments: object, key: str | None = None) -> Answer:
        if tool == "wait":
            time.sleep(WAIT_SECONDS)
        return Answer(f"{key} {self._driver}", False)


class OpenResearcher(Researcher):
    """The real actor's methods, on doubles."""

    def __init__(self, driver: int) -> None:
        self._researcher = ResearcherConfig(name="eve", brain="external")
        runtime: Any = SimpleNamespace(status="waits for whoever thinks for it")
        self._runtime, self._brain, self._gate = runtime, Brain(driver), ConcurrencyLimiter(CALLS_AT_ONCE)


def main(folder: Path) -> None:
    """Run until killed. Raises GetTimeoutError when the researcher does not say what it does."""
    lock = (folder / LOCK_FILE).open("a")
    fcntl.flock(lock, fcntl.LOCK_EX)
    (folder / VERSION_FILE).write_text("{}")
    ray.init(address="local", namespace="aar-little", num_cpus=1, include_dashboard=False, log_to_driver=False)
    actor = start_actor(OpenResearcher, actor_name("eve"), "aar-little", os.getpid(), **ACTOR_OPTIONS)
    ray.get(actor.status.remote())
    (folder / ADDRESS_FILE).write_text(ray.get_runtime_context().gcs_address)
    while True:
        ray.get(actor.status.remote(), timeout=5)  # whatever waits, a driver is answered
        time.sleep(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
