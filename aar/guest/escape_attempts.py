"""Attempts to escape, which the probe runs inside a sandbox: each function tries one way out and reports the result.

    python -m aar.guest.escape_attempts FACTS      with FACTS as JSON: what to look for, see `probe`

Prints one JSON object: the name of each attempt, and null where isolation held, or else what got through.
"""

import ctypes
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CLONE_NEWUSER = 0x10000000
AF_VSOCK = 40
OUTSIDE = ("192.0.2.1", 80)  # TEST-NET-1: routed nowhere, but a machine with a network tries


def connect_outside(facts: dict[str, Any]) -> str | None:
    """Reach an address that is not this machine."""
    return _refused("connected to the network", lambda: _connect(socket.AF_INET, OUTSIDE))


def connect_to_host(facts: dict[str, Any]) -> str | None:
    """Reach a port on which the host listens at its loopback address."""
    return _refused("connected to a port of the host", lambda: _connect(socket.AF_INET, ("127.0.0.1", facts["port"])))


def connect_to_abstract_socket(facts: dict[str, Any]) -> str | None:
    """Reach an abstract Unix socket of the host, which has a name and no file."""
    return _refused("reached a socket of the host", lambda: _connect(socket.AF_UNIX, f"\0{facts['abstract']}"))


def open_vsock(facts: dict[str, Any]) -> str | None:
    """Create a socket to the hypervisor, which no network namespace stops."""
    return _refused("made a vsock socket", lambda: socket.socket(AF_VSOCK, socket.SOCK_STREAM))


def read_host_file(facts: dict[str, Any]) -> str | None:
    """Read a file of the host that is readable by everyone."""
    return _refused("read a file of the host", Path(facts["canary"]).read_text)


def write_root(facts: dict[str, Any]) -> str | None:
    """Write where nothing should be writable."""
    for folder in ("/", "/runtime", "/dev", "/proc/sys/kernel"):
        file = Path(folder, "aar-probe")
        through = _refused(f"wrote a file in {folder}", file.touch)
        if through:
            file.unlink()
            return through
    return None


def see_environment(facts: dict[str, Any]) -> str | None:
    """Find environment variables of the host, in this process or any other."""
    visible = set(os.environ)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        file = Path(f"/proc/{pid}/environ")
        visible |= {item.partition("=")[0] for item in file.read_text().split("\0")} if file.exists() else set()
    visible -= {*facts["environment"], "", "PWD"}
    return f"saw environment variables {', '.join(sorted(visible))}" if visible else None


def touch_first_process(facts: dict[str, Any]) -> str | None:
    """Read or write the memory of the sandbox's first process."""
    return _refused("opened the memory of the first process", lambda: os.open("/proc/1/mem", os.O_RDWR))


def see_processes(facts: dict[str, Any]) -> str | None:
    """Find processes of the host, which could be signalled."""
    visible = [name for name in os.listdir("/proc") if name.isdigit()]
    return f"saw {len(visible)} processes" if len(visible) > 2 else None


def gain_namespace(facts: dict[str, Any]) -> str | None:
    """Become root of a new user namespace."""
    return "made a user namespace" if ctypes.CDLL(None).unshare(CLONE_NEWUSER) == 0 else None


def exceed_file_size(facts: dict[str, Any]) -> str | None:
    """Write a file larger than allowed."""

    def grow() -> None:
        with open("/tmp/large", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, facts["file_bytes"] + 2**20)

    return _refused("wrote a file larger than its limit", grow)


def exceed_processes(facts: dict[str, Any]) -> str | None:
    """Start more processes than allowed."""
    started: list[int] = []
    try:
        for _ in range(facts["processes"] + 1):
            child = os.fork()
            if child == 0:
                os.read(facts["never"], 1)
                os._exit(0)
            started.append(child)
        return f"started {len(started)} processes"
    except BlockingIOError:
        return None
    finally:
        for child in started:
            os.kill(child, 9)
            os.waitpid(child, 0)


def _connect(family: int, address: Any) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(1)
        connection.connect(address)


def _refused(success: str, attempt: Callable[[], object]) -> str | None:
    try:
        attempt()
    except OSError:
        return None
    return success


ATTEMPTS = (
    connect_outside, connect_to_host, connect_to_abstract_socket, open_vsock, read_host_file, write_root,
    see_environment, touch_first_process, see_processes, gain_namespace, exceed_file_size, exceed_processes,
)  # fmt: skip


def main() -> None:
    """Run all attempts and print their results."""
    facts = json.loads(sys.argv[1])
    facts["never"], _ = os.pipe()
    print(json.dumps({attempt.__name__: attempt(facts) for attempt in ATTEMPTS}))


if __name__ == "__main__":
    main()
