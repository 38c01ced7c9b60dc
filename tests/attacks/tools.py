"""What attacks share. It is copied into the sandbox beside them and imports the standard library alone."""

import ctypes
import os
import socket
from collections.abc import Callable
from typing import Any

Facts = dict[str, Any]
"""What an attacker has found out about the host: ports, paths, process numbers, names."""

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def reached(attempt: Callable[[], object], what: str = "") -> str | None:
    """What got through, when the attempt gives something and raises no OSError; None when the wall held."""
    try:
        found = attempt()
    except (OSError, ImportError):
        return None
    return what or repr(found)[:200] if found else None


def connect(family: int, address: Any, kind: int = socket.SOCK_STREAM) -> bool:
    """Connect, or raise OSError."""
    with socket.socket(family, kind) as connection:
        connection.settimeout(1)
        connection.connect(address)
        return True


def talk(family: int, address: Any, say: bytes) -> bytes:
    """Connect, say something, and return the answer, or raise OSError."""
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(2)
        connection.connect(address)
        connection.sendall(say)
        return connection.recv(1000)


def read(path: str) -> bytes:
    """The beginning of a file, or OSError."""
    with open(path, "rb") as file:
        return file.read(10_000)


def write(path: str, content: bytes = b"x") -> bool:
    """Write to a file that exists or not, or raise OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        return os.write(descriptor, content) > 0
    finally:
        os.close(descriptor)


def call(number: int, *arguments: Any) -> bool:
    """A raw system call of x86-64; True when the kernel did it, else OSError."""
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return True


def processes() -> list[int]:
    """Every process that can be seen."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def strangers() -> list[int]:
    """Processes that are neither this one nor an ancestor of it inside the sandbox."""
    own, pid = {1, 2}, os.getpid()
    while pid > 1:  # of the first process nothing is shown
        own.add(pid)
        pid = int(read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[1])
    return [pid for pid in processes() if pid not in own]
