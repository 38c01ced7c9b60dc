"""A connection from another process to a campaign that runs, which outlives the campaign's restarts.

Ray ends a process whose cluster has been gone for a minute. So a link looks every few seconds whether its campaign
still runs and disconnects when it does not; a cluster that is lost while its driver still runs is given an hour.
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
    """Calls the tools of a running campaign's external researchers. It connects when a call needs it to."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._turn = folder, threading.Lock()
        self._address: str | None = None
        """Of the cluster that this process is connected to."""
        threading.Thread(target=self._watch, name="link", daemon=True).start()

    def authenticate(self, token: str) -> str | None:
        """The researcher that a token stands for."""
        return researcher_of(self._folder, token)

    async def call(self, researcher: str, tool: str, arguments: object, key: str | None = None) -> tuple[str, bool]:
        """Call a tool; the answer, and whether it is an error. No thread waits for it.

        A call that is cancelled goes on in the researcher's process.

        Args:
            key: the caller's own name for the call, under which it is made once. It always has one: Ray sends a call
                again when a researcher's process is killed.

        Raises:
            ToolError: the call is too large to be sent on.
            CampaignError: the campaign does not run or was not reached, or the researcher is not there yet or failed.
        """
        check_call(tool, arguments, key)
        key = f"link-{uuid.uuid4()}" if key is None else key
        reference, address = await asyncio.to_thread(self._send, researcher, tool, arguments, key)
        reply = asyncio.ensure_future(_reply(researcher, reference))
        while not (await asyncio.wait({reply}, timeout=CHECK_SECONDS))[0]:
            if self._address != address:
                raise CampaignError(f"the campaign ended before {researcher} had answered; call again when it goes on")
        return reply.result()

    def _send(self, researcher: str, tool: str, arguments: object, key: str) -> tuple[Any, str]:
        """The reference of the answer, and the address of the cluster that it comes from."""
        with self._turn:
            address = self._connected()
            from ray.exceptions import RayError  # not before `connect` has set what Ray reads then

            try:
                return _actor(researcher).call.remote(tool, arguments, key), address
            except RayError as error:
                raise CampaignError(f"{researcher} was not reached ({error}); call again") from None

    def _connected(self) -> str:
        """Connect to the cluster on which the campaign runs now, if this process is not; its address."""
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
        """Disconnect from a cluster on which the campaign no longer runs."""
        while True:
            time.sleep(CHECK_SECONDS)
            with self._turn, suppress(AarError):
                if self._address is not None and self._address != _address_now(self._folder):
                    self._disconnect()


def address_of(folder: Path) -> str:
    """The address of the Ray cluster of a running campaign. Raises CampaignError when it does not run, or not yet."""
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
    """Connect this process to a campaign's Ray cluster. Raises CampaignError when it was not reached."""
    config = stored_config(folder)
    # Ray reads these when it is imported. A local cluster of aar's asks for its token.
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", str(LOST_SECONDS))
    if not (config.cluster.address or os.environ.get("RAY_ADDRESS")):
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray
    from ray.exceptions import RayError

    try:
        ray.init(address=address, namespace=f"aar-{config.name}", log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        raise unreached(config, error) from None


def unreached(config: CampaignConfig, error: Exception) -> CampaignError:
    """What to say when a running campaign's actors are not found."""
    return CampaignError(
        f"{config.name} runs, but was not reached ({error}). It may be starting: try again. If it runs on a cluster "
        "elsewhere, set RAY_ADDRESS to its cluster's address."
    )


def researchers(folder: Path) -> list[ResearcherConfig]:
    """A campaign's researchers, those too that were added."""
    commands = CommandQueue(folder, read_only=True).commands() if (folder / FILE).exists() else []
    return active_researchers(stored_config(folder), commands)


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
            f"{researcher} takes no calls now: the campaign is still measuring its baselines, or is over"
        ) from None


async def _reply(researcher: str, reference: Any) -> tuple[str, bool]:
    """What a researcher's process answered. Raises CampaignError, or what it raised, when that is an error of aar's."""
    from ray.exceptions import RayActorError, RayError, RayTaskError

    from aar.ray_utils import get_async

    try:
        text, is_error = await get_async(reference)
    except RayActorError as error:
        raise CampaignError(f"{researcher} was lost while it answered ({error}); call again") from None
    except RayTaskError as error:  # its text holds a traceback with paths
        raise CampaignError(f"{researcher} could not answer ({error.cause!r})") from None
    except RayError as error:
        raise CampaignError(f"{researcher} was not reached ({error}); call again") from None
    return str(text), bool(is_error)
