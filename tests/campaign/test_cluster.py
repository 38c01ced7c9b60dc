"""Connecting to Ray: a port in use, an address where nothing is, a token that only its user can read."""

import socket
from pathlib import Path

import pytest

from aar.campaign import cluster
from aar.campaign.cluster import connect
from aar.config import load_config
from aar.errors import CampaignError, ConfigError

QUICKSTART = Path(__file__).parents[2] / "jobs" / "quickstart.toml"


def test_a_dashboard_port_in_use_is_told_with_another_one_to_take() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        config = load_config(QUICKSTART, [f"cluster.dashboard_port={port}"])
        with pytest.raises(CampaignError, match=rf"port {port} .* in use.*cluster\.dashboard_port={port + 1}"):
            connect(config, "test")


def test_the_token_can_be_read_by_its_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "ray" / "token"
    cluster._ensure_token(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(file.read_text()) == 64


def test_a_token_that_ray_left_open_is_closed_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("known to others")
    file.chmod(0o644)
    cluster._ensure_token(file)
    assert (file.stat().st_mode & 0o777, file.read_text()) == (0o600, "known to others")


def test_a_cluster_too_small_for_the_workers_is_told_instead_of_waited_for(ray_session: None) -> None:
    with pytest.raises(ConfigError, match=r"asks for 64 CPUs.*has 2.*compute\.cpus_per_worker"):
        cluster._check_size(load_config(QUICKSTART, ["compute.cpus_per_worker=64"]))
    with pytest.raises(ConfigError, match=r"asks for 2 GPUs"):
        cluster._check_size(
            load_config(QUICKSTART, ["compute.gpus_per_worker=1", "compute.workers=2", "compute.cpus_per_worker=1"])
        )
