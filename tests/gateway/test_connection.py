"""`aar mcp` with a real Ray session in another process, which is killed and restarted; addresses and tokens."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from aar.campaign.folder import ADDRESS_FILE, LOCK_FILE, VERSION_FILE
from aar.config import ResearcherConfig, load_config
from aar.errors import CampaignError, ToolError
from aar.gateway.connection import CampaignConnection, address_of, checked_external
from aar.gateway.mcp_server import KEY
from aar.researchers.actor import CALLS_AT_ONCE
from aar.researchers.brains.external.credentials import issue
from aar.researchers.commands import CommandQueue
from aar.storage import FileLock
from tests.campaign_fixture import write_toml

REPOSITORY = Path(__file__).parents[2]
LOST_SECONDS = 10
"""After so long without its cluster Ray ends a process; a minute where nothing else is set."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A campaign's folder with one external researcher."""
    eve = ResearcherConfig(name="eve", brain="external")
    config = load_config(write_toml(tmp_path)).model_copy(update={"researchers": [eve]})
    (tmp_path / "config.json").write_text(config.model_dump_json())
    return tmp_path


@contextmanager
def open_campaign(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A campaign that runs; in the end its driver and all its processes are killed."""
    (folder / ADDRESS_FILE).unlink(missing_ok=True)
    driver = subprocess.Popen([sys.executable, "-m", "tests.gateway.open_campaign", str(folder)], cwd=REPOSITORY)
    try:
        until = time.monotonic() + 120
        while not (folder / ADDRESS_FILE).exists():
            assert driver.poll() is None and time.monotonic() < until
            time.sleep(0.1)
        yield driver
        assert driver.poll() is None
    finally:
        for process in [*psutil.Process(driver.pid).children(recursive=True), driver]:
            process.send_signal(signal.SIGKILL)
        driver.wait()


def server(folder: Path) -> StdioServerParameters:
    own = {"AAR_TOKEN": issue(folder, "eve"), "RAY_gcs_rpc_server_reconnect_timeout_s": str(LOST_SECONDS)}
    arguments = ["-m", "aar", "mcp", "-c", str(folder)]
    environment = {**os.environ, **own, "PYTHONPATH": str(REPOSITORY)}
    return StdioServerParameters(command=sys.executable, args=arguments, env=environment)


async def called(client: ClientSession, key: str | None = None) -> str:
    """What is answered to a call: its key and the driver's process, or an error."""
    result = await client.call_tool("budget", {}, meta={KEY: key} if key else None)
    return str(result.content[0].text)  # type: ignore[union-attr]


async def called_while_others_wait(client: ClientSession) -> "tuple[str, asyncio.Future[Any]]":
    """What is answered, and one of the calls that wait; the others' callers have gone away."""
    first, *others = [asyncio.ensure_future(client.call_tool("wait", {})) for _ in range(CALLS_AT_ONCE)]
    await asyncio.wait(others, timeout=4)
    for one in others:
        one.cancel()
    return await asyncio.wait_for(called(client), 10), first


def test_without_a_running_campaign_a_call_is_refused(folder: Path) -> None:
    with pytest.raises(CampaignError, match="little does not run; start it first"):
        asyncio.run(CampaignConnection(folder).call("eve", "budget", {}))


@pytest.mark.slow
def test_a_server_outlives_its_campaign_and_finds_it_again(folder: Path) -> None:
    async def session() -> None:
        async with stdio_client(server(folder)) as streams, ClientSession(*streams) as client:
            await client.initialize()
            assert "does not run; start it first" in await called(client)
            with open_campaign(folder) as driver:
                assert await called(client, "k1") == f"k1 {driver.pid}"
                assert (await called(client)).startswith("link-")  # sent again by Ray, it is the same call
                answer, waits = await called_while_others_wait(client)
                assert "too many concurrent calls" in answer
            assert "call again" in (await waits).content[0].text
            await asyncio.sleep(LOST_SECONDS + 5)
            assert "does not run; start it first" in await called(client)
            with open_campaign(folder) as driver:
                assert await called(client, "k2") == f"k2 {driver.pid}"

    asyncio.run(session())


def test_a_call_that_is_too_large_is_not_even_sent(folder: Path) -> None:
    large = [("t" * 3 * 2**20, {}, None), ("bash", {"command": "x" * 8 * 2**20}, None), ("bash", {}, "k" * 2**20)]
    for tool, arguments, key in large:
        with pytest.raises(ToolError, match="at most") as refusal:
            asyncio.run(CampaignConnection(folder).call("eve", tool, arguments, key))
        assert len(str(refusal.value)) < 300


@pytest.fixture
def driver(folder: Path) -> Iterator[Path]:
    """The folder while a driver holds it, which has written its version and no address yet."""
    (folder / VERSION_FILE).write_text("{}")
    with FileLock(folder / LOCK_FILE):
        yield folder


def test_a_campaign_that_is_starting_has_no_address_yet(driver: Path) -> None:
    with pytest.raises(CampaignError, match="little is starting; try again in a moment"):
        address_of(driver)
    (driver / ADDRESS_FILE).write_text("127.0.0.1:6379\n")
    assert address_of(driver) == "127.0.0.1:6379"


def test_the_address_of_an_earlier_run_is_not_used(driver: Path) -> None:
    (driver / ADDRESS_FILE).write_text("127.0.0.1:6379")
    os.utime(driver / ADDRESS_FILE, (1, 1))
    with pytest.raises(CampaignError, match="is starting"):
        address_of(driver)


def test_a_cluster_elsewhere_is_named_by_the_environment(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head.example.org:6379")
    assert address_of(driver) == "head.example.org:6379"


def test_an_address_without_a_running_driver_is_refused(folder: Path) -> None:
    (folder / ADDRESS_FILE).write_text("127.0.0.1:6379")
    with pytest.raises(CampaignError, match="little does not run; start it first with `aar run`"):
        address_of(folder)


def test_a_token_stands_for_its_researcher_until_a_new_one_is_issued(folder: Path) -> None:
    connection = CampaignConnection(folder)
    first = issue(folder, "eve")
    assert (connection.authenticate(first), connection.authenticate("aar_guess")) == ("eve", None)
    second = issue(folder, "eve")
    assert (connection.authenticate(first), connection.authenticate(second)) == (None, "eve")


def test_only_external_researchers_may_act_from_outside_also_those_that_were_added(folder: Path) -> None:
    assert checked_external(folder, "eve") == "eve"
    with pytest.raises(CampaignError, match=r"bob is not an external .*it has: eve\).*aar steer add bob --brain ext"):
        checked_external(folder, "bob")
    queue = CommandQueue(folder)
    for added in (ResearcherConfig(name="bob", brain="external"), ResearcherConfig(name="ada", brain="claude")):
        queue.ask("dana", added.name, "add", added.model_dump_json())
    assert checked_external(folder, "bob") == "bob"
    with pytest.raises(CampaignError, match=r"ada is not an external .*it has: eve, bob\)"):
        checked_external(folder, "ada")
