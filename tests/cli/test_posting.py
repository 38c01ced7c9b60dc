"""A person posts while the campaign runs: through the commons actor of its cluster."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
import ray

from aar.campaign.folder import code_folder, forum_file
from aar.commons import CODE_FOLDER, FORUM_FILE
from aar.commons.actor import start_commons
from tests.cli.conftest import Aar


def test_places_are_those_of_the_commons(campaign: Path) -> None:
    assert forum_file(campaign) == campaign / "commons" / FORUM_FILE
    assert code_folder(campaign) == campaign / "commons" / CODE_FOLDER


@pytest.mark.slow
def test_a_post_reaches_the_commons_of_a_running_campaign(ray_session: None, campaign: Path) -> None:
    commons = start_commons(campaign / "commons", namespace="aar-little", accounts=campaign)
    with (campaign / "driver.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        environment = {**os.environ, "RAY_ADDRESS": ray.get_runtime_context().gcs_address}
        command = [sys.executable, "-m", "aar", "forum", "post", "stop using [red]probes", "--author", "ada"]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "post 3 by ada\n"), ended.stderr
    assert ray.get(commons.get.remote(3)).title.text == "stop using [red]probes"
    ray.kill(commons)


def test_a_running_campaign_whose_commons_is_not_reached_is_a_message(
    campaign: Path, aar: Aar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "nonsense")
    with (campaign / "driver.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = aar("forum", "post", "hello", "--author", "ada")
    assert ended.code == 1 and "was not reached" in ended.err
