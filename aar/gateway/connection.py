"""A connection from another process to a running campaign, which outlives the campaign's restarts.

Ray ends a process whose cluster has been gone for a minute. So a connection checks every few seconds that its campaign
still runs, and disconnects when it does not. A cluster that is lost while its driver still runs gets an hour to return.
"""

import asyncio
import os
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from aar.campaign.folder import ADDRESS_FILE, VERSION_FILE, is_running, stored_config
from aar.config import CampaignConfig, ResearcherConfig
from aar.errors import AarError, CampaignError
from aar.researchers.brains.external.credentials import researcher_of
from aar.researchers.commands import FILE, CommandQueue, active_researchers
from aar.researchers.tools.tool import check_call
from aar.storage import storage_errors

CHECK_SECONDS = 2.0
LOST_SECONDS = 3600


class CampaignConnection:
    """Calls the tools of a running campaign's external researchers. It connects at the first call that needs it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._turn = folder, threading.Lock()
        self._address: str | None = None
        """The address of the cluster to which this process is connected."""
        threading.Thread(target=self._watch, name="campaign-connection", daemon=True).start()

    def authenticate(self, token: str) -> str | None:
        """Return the researcher that a token stands for, or None."""
        return researcher_of(self._folder, token)

    async def call(self, researcher: str, tool: str, arguments: object, key: str | None = None) -> tuple[str, bool]:
        """Call a tool; return the answer, and True if it is an error. No thread waits for the answer.

        A cancelled call still continues in the researcher's process.

        Args:
            key: the caller's idempotency key. Without one, a new key is used, because Ray sends a call again when a
                researcher's process is killed.

        Raises:
            ToolError: the call is too large.
            CampaignError: the campaign is not running or not reachable, or the researcher has not started or failed.
        """
        check_call(tool, arguments, key)
        key = f"link-{uuid.uuid4()}" if key is None else key
        reference, address = await asyncio.to_thread(self._send, researcher, tool, arguments, key)
        reply = asyncio.ensure_future(_reply(researcher, reference))
        while not (await asyncio.wait({reply}, timeout=CHECK_SECONDS))[0]:
            if self._address != address:
                raise CampaignError(f"the campaign ended before {researcher} answered; call again when it runs again")
        return reply.result()

    def _send(self, researcher: str, tool: str, arguments: object, key: str) -> tuple[Any, str]:
        """Send a call; return the reference of the answer, and the address of the cluster that will answer."""
        with self._turn:
            address = self._connected()
            from ray.exceptions import RayError  # after `connect`: Ray reads its settings when it is imported

            try:
                return _actor(researcher).call.remote(tool, arguments, key), address
            except RayError as error:
                raise CampaignError(f"{researcher} was not reached ({error}); call again") from None

    def _connected(self) -> str:
        """Connect to the campaign's current cluster if necessary; return its address."""
        try:
            address = address_of(self._folder)
        except CampaignError:
            self._disconnect()
            raise
        if address != self._address:
            self._disconnect()
            connect(self._folder, address)
            self._address = address
        return address

    def _disconnect(self) -> None:
        if self._address is not None:
            import ray

            self._address = None
            ray.shutdown()

    def _watch(self) -> None:
        """Keep checking, and disconnect from a cluster on which the campaign no longer runs."""
        while True:
            time.sleep(CHECK_SECONDS)
            with self._turn, suppress(AarError):
                if self._address is not None and self._address != _address_now(self._folder):
                    self._disconnect()


def address_of(folder: Path) -> str:
    """Return the address of a running campaign's Ray cluster. Raises CampaignError when it does not run, or not yet."""
    config = stored_config(folder)
    if not is_running(folder):
        raise CampaignError(f"{config.name} does not run; start it first with `aar run`")
    if given := config.cluster.address or os.environ.get("RAY_ADDRESS"):
        return given
    file = folder / ADDRESS_FILE
    with storage_errors(folder):
        if not file.exists() or file.stat().st_mtime < (folder / VERSION_FILE).stat().st_mtime:  # of the run before
            raise CampaignError(f"{config.name} is starting; try again in a moment")
        return file.read_text().strip()


def connect(folder: Path, address: str) -> None:
    """Connect this process to a campaign's Ray cluster. Raises CampaignError when that fails."""
    config = stored_config(folder)
    # Ray reads these when it is imported. A local cluster that aar started requires its token.
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", str(LOST_SECONDS))
    if not (config.cluster.address or os.environ.get("RAY_ADDRESS")):
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray
    from ray.exceptions import RayError

    from aar.ray_utils import namespace_of

    try:
        ray.init(address=address, namespace=namespace_of(config.name), log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        raise unreached(config, error) from None


def unreached(config: CampaignConfig, error: Exception) -> CampaignError:
    """Return the error for a running campaign whose actors are not found."""
    return CampaignError(
        f"{config.name} runs, but was not reached ({error}). It may be starting: try again. If it runs on a cluster "
        "elsewhere, set RAY_ADDRESS to its cluster's address."
    )


def researchers(folder: Path) -> list[ResearcherConfig]:
    """Return a campaign's researchers, including those added while it ran."""
    commands = CommandQueue(folder, read_only=True).commands() if (folder / FILE).exists() else []
    return active_researchers(stored_config(folder), commands)


def checked_external(folder: Path, researcher: str) -> str:
    """Return `researcher` if it is an external one. Otherwise raises CampaignError, which says how to add one."""
    names = [config.name for config in researchers(folder) if config.brain == "external"]
    if researcher not in names:
        existing = f"it has: {', '.join(names)}" if names else "it has none"
        raise CampaignError(
            f"{researcher} is not an external researcher of this campaign ({existing}). Add one with "
            f'brain = "external" to its file, or while it runs: aar steer add {researcher} --brain external'
        )
    return researcher


def _address_now(folder: Path) -> str | None:
    try:
        return address_of(folder)
    except CampaignError:
        return None


def _actor(researcher: str) -> Any:
    import ray

    from aar.researchers.actor import actor_name

    try:
        return ray.get_actor(actor_name(researcher))
    except ValueError:
        raise CampaignError(
            f"{researcher} does not accept calls now: the campaign is still measuring its baselines, or is over"
        ) from None


async def _reply(researcher: str, reference: Any) -> tuple[str, bool]:
    """Wait for a researcher's answer. Raises CampaignError, or the researcher's own error if it is one of aar's."""
    from ray.exceptions import RayActorError, RayError, RayTaskError

    from aar.ray_utils import get_async

    try:
        text, is_error = await get_async(reference)
    except RayActorError as error:
        raise CampaignError(f"{researcher} was lost while it answered ({error}); call again") from None
    except RayTaskError as error:  # its text includes a traceback with paths, so only the cause is reported
        raise CampaignError(f"{researcher} could not answer ({error.cause!r})") from None
    except RayError as error:
        raise CampaignError(f"{researcher} was not reached ({error}); call again") from None
    return str(text), bool(is_error)
