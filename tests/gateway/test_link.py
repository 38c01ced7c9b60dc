"""A link to a real Ray session of another process, which is killed and started again."""

import asyncio
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from aar.campaign.folder import ADDRESS_FILE
from aar.config import load_config
from aar.errors import CampaignError
from aar.gateway.link import Link
from aar.researchers.actor import CALLS_AT_ONCE, actor_name
from tests.campaign_fixture import write_toml

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(load_config(write_toml(tmp_path)).model_dump_json())
    return tmp_path


@contextmanager
def open_campaign(folder: Path) -> Iterator[int]:
    """A campaign that runs, by the id of its driver; in the end all its processes are killed."""
    (folder / ADDRESS_FILE).unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.gateway.open_campaign", str(folder)]
    driver = subprocess.Popen(command, cwd=REPOSITORY)
    try:
        until = time.monotonic() + 120
        while not (folder / ADDRESS_FILE).exists():
            assert driver.poll() is None and time.monotonic() < until
            time.sleep(0.1)
        yield driver.pid
    finally:
        for process in [*psutil.Process(driver.pid).children(recursive=True), driver]:
            process.send_signal(signal.SIGKILL)
        driver.wait()


def test_without_a_campaign_that_runs_a_call_is_refused_with_words(folder: Path) -> None:
    with pytest.raises(CampaignError, match="little does not run; start it first"):
        asyncio.run(Link(folder).call("eve", "budget", {}))


@pytest.mark.slow
def test_a_link_outlives_its_campaign_and_finds_it_again(folder: Path) -> None:
    link = Link(folder)
    with open_campaign(folder) as driver:
        check_calls(link, driver)
        pending = asyncio.Runner()
        check_waits_keep_nobody(pending, link)
    with pytest.raises(CampaignError):
        pending.run(link.call("eve", "budget", {}))
    pending.close()
    with open_campaign(folder) as driver:
        assert asyncio.run(link.call("eve", "budget", {}, "k2")) == (f"k2 {driver}", False)


def check_calls(link: Link, driver: int) -> None:
    assert asyncio.run(link.call("eve", "budget", {}, "k1")) == (f"k1 {driver}", False)
    text, _ = asyncio.run(link.call("eve", "budget", {}))
    assert text.startswith("link-")  # sent again by Ray, it is the same call
    with pytest.raises(CampaignError, match="ben takes no calls now"):
        asyncio.run(link.call("ben", "budget", {}))


def check_waits_keep_nobody(runner: asyncio.Runner, link: Link) -> None:
    """Neither the link's threads, nor the researcher's that answer the driver; calls that are too many are refused."""
    import ray

    async def wait_and_ask() -> tuple[str, bool]:
        waits = [asyncio.ensure_future(link.call("eve", "wait", {})) for _ in range(CALLS_AT_ONCE)]
        await asyncio.wait(waits, timeout=3)
        for one in waits:
            one.cancel()
        return await asyncio.wait_for(link.call("eve", "budget", {}), 10)

    text, is_error = runner.run(wait_and_ask())
    assert is_error and "calls of yours wait" in text
    assert "waits" in ray.get(ray.get_actor(actor_name("eve")).activity.remote(), timeout=10)
