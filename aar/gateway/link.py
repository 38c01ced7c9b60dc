"""A connection from another process to a campaign that runs."""

import os
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from aar.campaign.folder import ADDRESS_FILE, is_running, stored_config
from aar.config import CampaignConfig, ResearcherConfig
from aar.database import storage_errors
from aar.errors import CampaignError
from aar.researchers.external.credentials import researcher_of
from aar.researchers.steering import FILE, Steering, roster

POLL_SECONDS = 1.0


def connect(folder: Path) -> str:
    """Connect this process to the Ray cluster of a running campaign; returns the campaign's namespace.

    Raises:
        CampaignError: it does not run, or its cluster was not reached.
    """
    config = stored_config(folder)
    if not is_running(folder):
        raise CampaignError(f"{config.name} does not run; start it first with `aar run`")
    address = config.cluster.address or os.environ.get("RAY_ADDRESS")
    if not address:  # a local cluster of aar's asks for its token; Ray reads this when it is imported
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray

    namespace = f"aar-{config.name}"
    try:
        where = address or _address(folder)
        ray.init(address=where, namespace=namespace, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise unreached(config, error) from None
    return namespace


def _address(folder: Path) -> str:
    """Where the campaign's own local cluster is; there may be others on this machine."""
    file = folder / ADDRESS_FILE
    with storage_errors(file):
        return file.read_text().strip() if file.exists() else "auto"


def unreached(config: CampaignConfig, error: Exception) -> CampaignError:
    """What to say when a running campaign's actors are not found."""
    return CampaignError(
        f"{config.name} runs, but was not reached ({error}). It may be starting: try again. If it runs on a cluster "
        "elsewhere, set RAY_ADDRESS to its cluster's address."
    )


class Link:
    """Calls the tools of a campaign's external researchers, also after the campaign has ended and goes on.

    It lets go of a cluster as soon as its campaign has ended: Ray would end a process whose cluster is gone. For any
    thread. Raises CampaignError as `connect`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._config = folder, stored_config(folder)
        self._namespace = f"aar-{self._config.name}"
        self._where: str | None = None
        self._turn = threading.Lock()
        self._actors: dict[str, Any] = {}
        self._connect()
        threading.Thread(target=self._let_go, name="link", daemon=True).start()

    def who(self, token: str) -> str | None:
        """The researcher that a token stands for."""
        return researcher_of(self._folder, token)

    def call(self, researcher: str, tool: str, arguments: object, key: str | None = None) -> tuple[str, bool]:
        """Call a tool; the answer, and whether it is an error. Blocks.

        Raises:
            CampaignError: the researcher is not there yet, or its campaign has ended.
        """
        from ray.exceptions import RayError

        from aar.remote import result

        key = key or str(uuid.uuid4())  # Ray sends a call again to a process that was lost: it must be the same call
        try:
            with self._turn:
                self._connect()
                actor = self._actor(researcher)
            text, is_error = result(actor.call.remote(tool, arguments, key))
        except RayError as error:
            self._actors.pop(researcher, None)
            raise CampaignError(f"{researcher} was lost while it answered ({error}); call again") from None
        return str(text), bool(is_error)

    def _connect(self) -> None:
        """Connect to where the campaign runs now, unless that was done."""
        if self._where is not None and is_running(self._folder) and self._where == _address(self._folder):
            return
        self._disconnect()
        connect(self._folder)
        self._where = _address(self._folder)

    def _disconnect(self) -> None:
        import ray

        if self._where is not None:
            self._where = None
            self._actors.clear()
            ray.shutdown()

    def _let_go(self) -> None:
        while True:
            time.sleep(POLL_SECONDS)
            with self._turn:
                if self._where is not None and not is_running(self._folder):
                    self._disconnect()

    def _actor(self, researcher: str) -> Any:
        import ray

        from aar.researchers.actor import actor_name

        if researcher not in self._actors:
            try:
                self._actors[researcher] = ray.get_actor(actor_name(researcher), self._namespace)
            except ValueError:
                raise CampaignError(
                    f"{researcher} takes no calls now: the campaign is still measuring its baselines, or is over"
                ) from None
        return self._actors[researcher]


def researchers(folder: Path) -> list[ResearcherConfig]:
    """A campaign's researchers, those too that were added."""
    wishes = Steering(folder, read_only=True).wishes() if (folder / FILE).exists() else []
    return roster(stored_config(folder), wishes)


def checked_external(folder: Path, researcher: str) -> str:
    """`researcher`, if it is an external one. Raises CampaignError, which says how to add one, when it is not."""
    names = [one.name for one in researchers(folder) if one.brain == "external"]
    if researcher not in names:
        known = f"it has: {', '.join(names)}" if names else "it has none"
        raise CampaignError(
            f'{researcher} is no external researcher of this campaign ({known}). Add one with brain = "external" to '
            f"its file, or while it runs: aar steer add {researcher} --brain external"
        )
    return researcher
