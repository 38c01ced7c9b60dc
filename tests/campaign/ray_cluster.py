"""Ray clusters that aar did not start, with a token and without, each in processes and a folder of its own."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RAY = str(Path(sys.executable).with_name("ray"))
TOKEN = "token-of-a-cluster-that-aar-did-not-start"


@dataclass(frozen=True)
class RayCluster:
    """A cluster that is up: its control service's port, its folder, and the environment of those who have its token."""

    port: int
    folder: Path
    environment: dict[str, str]


@contextmanager
def ray_cluster(mode: str, *options: str) -> Iterator[RayCluster]:
    """A head node, ended with its processes after the block. `mode`: "token" or "disabled"."""
    folder = Path(tempfile.mkdtemp(prefix="aar-"))  # short: Ray's socket paths begin with it
    (folder / "token").write_text(TOKEN)
    (folder / "token").chmod(0o600)
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    environment |= {"RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [RAY, "start", "--head", "--block", f"--port={port}", f"--temp-dir={folder / 'ray'}", "--num-cpus=2"]
    command += [f"--dashboard-agent-listen-port={free_port()}", "--disable-usage-stats"]
    command += options or ["--include-dashboard=false"]
    with (folder / "output").open("wb") as output:
        head = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        _wait_until_up(head, folder, environment, port)
        yield RayCluster(port, folder, environment)
    finally:
        head.terminate()
        head.wait(90)  # it drains for half a minute
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port that nobody listens on, outside of the range of Ray's own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def own_address() -> str | None:
    """This machine's address as others see it, if it has one. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if address.startswith("127.") else address


def _wait_until_up(head: "subprocess.Popen[bytes]", folder: Path, environment: dict[str, str], port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and head.poll() is None:
        if "Ray runtime started" in (folder / "output").read_text():
            return
        time.sleep(0.2)
    raise AssertionError((folder / "output").read_text())
