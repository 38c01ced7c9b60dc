"""Connecting to Ray: a port in use, an address where nothing is, and clusters that let everybody in."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aar.campaign.cluster import accepts_unauthenticated, check_size, connect, is_loopback, private_folder
from aar.campaign.events import EventLog
from aar.config import load_config
from aar.errors import CampaignError, ConfigError
from tests.campaign.ray_cluster import TOKEN, RayCluster, free_port, own_address, ray_cluster
from tests.campaign.tiny_campaign import wait_for

QUICKSTART = Path(__file__).parents[2] / "jobs" / "quickstart.toml"
CONNECT = f"""
import sys, ray
from aar.campaign.cluster import connect
from aar.config import load_config
from aar.errors import AarError
from pathlib import Path
try:
    print("warning:", connect(load_config(Path({str(QUICKSTART)!r}), sys.argv[1:]), "test").warning)
    print("connected to", ray.get_runtime_context().gcs_address)
except AarError as error:
    print(f"{{type(error).__name__}}: {{error}}")
"""


def outcome(environment: dict[str, str], *overrides: str) -> str:
    """What connecting ends with, in a process of its own: Ray reads its settings when it is imported."""
    command = [sys.executable, "-c", CONNECT, *overrides]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def open_cluster() -> Iterator[RayCluster]:
    with ray_cluster("disabled") as started:
        yield started


@pytest.fixture(scope="module")
def closed_cluster() -> Iterator[RayCluster]:
    with ray_cluster("token") as started:
        yield started


def test_a_dashboard_port_in_use_is_told_with_another_one_to_take() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        config = load_config(QUICKSTART, [f"cluster.dashboard_port={port}"])
        with pytest.raises(CampaignError, match=rf"port {port} .* in use.*cluster\.dashboard_port={port + 1}"):
            connect(config, "test")


def test_an_address_that_is_no_clusters_own_is_told_where_to_submit() -> None:
    for address in ("ray://127.0.0.1:10001", "http://127.0.0.1:8265"):
        with pytest.raises(ConfigError, match=rf"{address}: .*ray job submit"):
            connect(load_config(QUICKSTART, [f"cluster.address={address}"]), "test")


def test_a_cluster_too_small_for_the_workers_is_told_instead_of_waited_for(ray_session: None) -> None:
    with pytest.raises(ConfigError, match=r"asks for 64 CPUs.*has 2.*compute\.cpus_per_worker"):
        check_size(load_config(QUICKSTART, ["compute.cpus_per_worker=64"]))
    with pytest.raises(ConfigError, match=r"asks for 2 GPUs"):
        check_size(
            load_config(QUICKSTART, ["compute.gpus_per_worker=1", "compute.workers=2", "compute.cpus_per_worker=1"])
        )
    with pytest.raises(ConfigError, match=r"training program asks for 1 GPUs, but .* leave 0 .*programs\.gpus"):
        check_size(load_config(QUICKSTART, ["programs.gpus=1"]))
    check_size(load_config(QUICKSTART, ["programs.gpus=1", "programs.per_method=0"]))


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        *(("127.0.0.1:6379", True), ("127.8.8.8:1", True), ("[::1]:6379", True), ("localhost:6379", True)),
        *(("10.0.0.5:6379", False), ("0.0.0.0:1", False), ("[fe80::1]:1", False), ("localhost.evil.org:1", False)),
        *(("", False), ("127.0.0.1.evil.org:1", False)),
    ],
)
def test_only_what_cannot_be_reached_from_elsewhere_is_loopback(address: str, loopback: bool) -> None:
    assert is_loopback(address) == loopback


def test_whether_a_cluster_is_open_is_never_guessed() -> None:
    with pytest.raises(CampaignError, match=r"did not say whether it asks for a token \(UNAVAILABLE\)"):
        accepts_unauthenticated(f"127.0.0.1:{free_port()}")


def test_a_private_folder_is_closed_to_others_and_is_not_a_link(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o777)
    assert private_folder(tmp_path / "open").stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(tmp_path / "open")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(CampaignError, match=f"{name} is not a folder of this user; remove it"):
            private_folder(tmp_path / name)


@pytest.mark.slow
def test_an_open_cluster_on_loopback_is_warned_of(open_cluster: RayCluster) -> None:
    assert accepts_unauthenticated(f"127.0.0.1:{open_cluster.port}")
    said = outcome(open_cluster.environment, f"cluster.address=127.0.0.1:{open_cluster.port}")
    assert said.startswith("warning: the Ray cluster at ") and f":{open_cluster.port} is open: anyone" in said
    assert "RAY_AUTH_MODE=token" in said and "connected" in said


@pytest.mark.slow
def test_a_campaigns_record_and_standard_error_have_the_warning(open_cluster: RayCluster, tiny: Path) -> None:
    command = [sys.executable, "-m", "aar", "run", str(tiny), f"cluster.address=127.0.0.1:{open_cluster.port}"]
    process = subprocess.Popen(command, env=open_cluster.environment, stderr=subprocess.PIPE, text=True)
    folder = tiny.parent / "campaign"
    try:
        wait_for("a scorer", lambda: (folder / "scores.sqlite").exists())
    finally:
        process.terminate()
        _, complaints = process.communicate(timeout=60)
    told = [event.text for event in EventLog(folder, read_only=True).events() if event.text.startswith("warning: ")]
    assert len(told) == 1 and f":{open_cluster.port} is open: anyone who reaches its ports" in told[0]
    assert f"aar: {told[0]}" in complaints


@pytest.mark.slow
@pytest.mark.skipif(own_address() is None, reason="this machine has no address but loopback")
def test_an_open_cluster_that_others_reach_is_refused_unless_the_settings_allow_it(open_cluster: RayCluster) -> None:
    address = f"{own_address()}:{open_cluster.port}"
    for way in ({}, {"RAY_ADDRESS": address}):
        overrides = [] if way else [f"cluster.address={address}"]
        said = outcome(open_cluster.environment | way, *overrides)
        assert f"CampaignError: the Ray cluster at {address} is open" in said and "cluster.allow_open=true" in said
        said = outcome(open_cluster.environment | way, "cluster.allow_open=true", *overrides)
        assert f"warning: the Ray cluster at {address} is open" in said and f"connected to {address}" in said


@pytest.mark.slow
def test_a_cluster_with_a_token_is_used_without_a_word_and_not_without_the_token(closed_cluster: RayCluster) -> None:
    assert not accepts_unauthenticated(f"127.0.0.1:{closed_cluster.port}")
    address = f"cluster.address=127.0.0.1:{closed_cluster.port}"
    said = outcome(closed_cluster.environment, address)
    assert "warning: None" in said and "connected" in said
    without = closed_cluster.environment | {"RAY_AUTH_MODE": "disabled"}
    said = outcome(without, address)
    assert "CampaignError" in said and TOKEN not in said


@pytest.mark.slow
def test_a_ray_of_aars_own_that_is_open_is_never_used(open_cluster: RayCluster) -> None:
    program = f"""
import ray
from aar.campaign.cluster import check_closed
ray.init(address="127.0.0.1:{open_cluster.port}", log_to_driver=False)
check_closed(None, allow_open=True)
"""
    command, environment = [sys.executable, "-c", program], open_cluster.environment
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "that aar started" in done.stderr and "requires no token" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["disabled", "token", None])
def test_a_cluster_that_aar_starts_asks_for_a_token_whatever_the_environment_says(
    tmp_path: Path, mode: str | None
) -> None:
    file = tmp_path / "token"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    environment |= {"RAY_AUTH_TOKEN_PATH": str(file)} | ({"RAY_AUTH_MODE": mode} if mode else {})
    said = outcome(environment, f"cluster.dashboard_port={free_port()}")
    assert "warning: None" in said
    assert file.stat().st_mode & 0o777 == 0o600
    assert Path(f"/tmp/aar-{os.getuid()}").stat().st_mode & 0o777 == 0o700
