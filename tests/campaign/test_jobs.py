"""Campaigns as jobs of a Ray cluster that aar did not start."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from aar.campaign.state import read_state
from tests.campaign.ray_cluster import RAY, RayCluster, free_port, own_address, ray_cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.campaign]

RESEARCH = Path(__file__).parents[2] / "jobs" / "research.py"


def submit(cluster: RayCluster, dashboard: int, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """`ray job submit`, to its end; again while the cluster, which is just up, has nobody yet to take it."""
    job = ["--", sys.executable, RESEARCH, *arguments]
    command = [*map(str, [RAY, "job", "submit", "--address", f"http://127.0.0.1:{dashboard}", *job])]
    for _ in range(30):
        done = subprocess.run(command, env=cluster.environment, capture_output=True, text=True, timeout=500)
        if "No available agent" not in done.stderr:
            break
        time.sleep(1)
    return done


def test_a_job_on_a_cluster_with_a_token_runs_a_campaign_to_its_end(tiny: Path) -> None:
    dashboard = free_port()
    with ray_cluster("token", f"--dashboard-port={dashboard}") as cluster:
        done = submit(cluster, dashboard, tiny)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PGR" in done.stdout and "warning:" not in done.stdout
    assert read_state(tiny.parent / "campaign").phase == "finished"


@pytest.mark.skipif(own_address() is None, reason="this machine has no address but loopback")
def test_a_job_on_an_open_cluster_says_why_it_does_not_run(tiny: Path) -> None:
    dashboard = free_port()
    with ray_cluster("disabled", f"--dashboard-port={dashboard}") as cluster:
        done = submit(cluster, dashboard, tiny)
    assert done.returncode != 0
    assert "is open: anyone who reaches its ports" in done.stdout and "cluster.allow_open=true" in done.stdout
