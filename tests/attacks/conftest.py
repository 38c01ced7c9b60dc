"""A host worth attacking: servers, sockets, secrets, a victim, and the Ray cluster that aar starts."""

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.attacks.harness import LIMITS

CLUSTER = """
import json, sys
import ray
from aar.campaign import cluster
cluster._start_local(int(sys.argv[1]), "attacked")
node = ray._private.worker.global_worker.node
print(json.dumps([node.gcs_address, node.get_session_dir_path()]), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="session")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The knowledge of a well-informed attacker; see tests/attacks/tools.py."""
    folder = tmp_path_factory.mktemp("host")
    for place in (folder, *folder.parents[:2]):  # those that pytest made
        place.chmod(0o755)
    with ExitStack() as stack:
        yield {
            **_servers(stack), **_unix_sockets(stack, folder), **_files(folder), **_victim(stack), **_cluster(stack),
            "memory": LIMITS.memory_bytes, "file_bytes": LIMITS.file_bytes, "files": LIMITS.files,
            "processes": LIMITS.processes, "open_files": LIMITS.open_files, "disk_bytes": LIMITS.disk_bytes,
        }  # fmt: skip


def _servers(stack: ExitStack) -> dict[str, Any]:
    tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=100))
    tcp_any = stack.enter_context(socket.create_server(("0.0.0.0", 0), backlog=100))
    tcp6 = stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6, backlog=100))
    udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    udp.bind(("127.0.0.1", 0))
    threading.Thread(target=_echo, args=(udp,), daemon=True).start()
    return {
        "tcp": tcp.getsockname()[1], "tcp_any": tcp_any.getsockname()[1], "tcp6": tcp6.getsockname()[1],
        "udp": udp.getsockname()[1], "address": _own_address(),
    }  # fmt: skip


def _echo(server: socket.socket) -> None:
    while True:
        try:
            data, sender = server.recvfrom(1000)
            server.sendto(data, sender)
        except OSError:
            return


def _own_address() -> str:
    interfaces = psutil.net_if_addrs().values()
    addresses = [entry.address for entries in interfaces for entry in entries if entry.family == socket.AF_INET]
    return next((address for address in addresses if not address.startswith("127.")), "127.0.0.1")


def _unix_sockets(stack: ExitStack, folder: Path) -> dict[str, Any]:
    abstract, path = f"aar-attacked-{secrets.token_hex(8)}", folder / "s"
    for address in (f"\0{abstract}", str(path)):
        server = stack.enter_context(socket.socket(socket.AF_UNIX))
        server.bind(address)
        server.listen(100)
    path.chmod(0o777)
    return {"abstract": abstract, "socket": str(path)}


def _files(folder: Path) -> dict[str, Any]:
    places = {"canary": "canary", "labels": "data/test.jsonl", "campaign": "campaign/scores.sqlite"}
    places |= {"other_workspace": "workspaces/other/notes"}
    for place in places.values():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text("secret")
        (folder / place).chmod(0o644)
    shared = f"aar-attacked-{secrets.token_hex(8)}"
    return {
        "canary": str(folder / "canary"), "labels": str(folder / "data/test.jsonl"),
        "campaign": str(folder / "campaign"), "other_workspace": str(folder / "workspaces/other"),
        "shared_memory": shared,
    }  # fmt: skip


def _victim(stack: ExitStack) -> dict[str, Any]:
    secret = secrets.token_hex(16)
    victim = subprocess.Popen(["sleep", "600"], env={"ANTHROPIC_API_KEY": secret, "PATH": os.environ["PATH"]})
    stack.callback(victim.wait)
    stack.callback(victim.kill)
    return {"victim": victim.pid, "secret": secret}


def _cluster(stack: ExitStack) -> dict[str, Any]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        dashboard = probe.getsockname()[1]
    cluster = subprocess.Popen(
        [sys.executable, "-c", CLUSTER, str(dashboard)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    stack.callback(cluster.wait)
    stack.callback(cluster.kill)
    assert cluster.stdin and cluster.stdout
    stack.callback(cluster.stdin.close)
    gcs, session = json.loads(cluster.stdout.readline())
    inside = psutil.Process(cluster.pid).children(recursive=True)
    connections = [connection for process in inside for connection in process.net_connections()]
    ports = {connection.laddr.port for connection in connections if connection.status == "LISTEN"}
    token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray/auth_token")
    return {
        "dashboard": dashboard, "gcs": gcs, "session": session, "namespace": "attacked", "token": str(token),
        "ray_ports": sorted(ports),
    }  # fmt: skip
