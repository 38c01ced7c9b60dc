"""Helpers of the attacks. Copied into the sandbox with them; imports only the standard library."""

import ctypes
import os
import socket
from collections.abc import Callable
from typing import Any

Facts = dict[str, Any]
"""What an attacker knows about the host: ports, paths, process numbers, names."""

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def reached(attempt: Callable[[], object], what: str = "") -> str | None:
    """Return what an attempt reached: `what`, or its result if that is true; None if it failed with an OSError."""
    try:
        result = attempt()
    except (OSError, ImportError):
        return None
    return what or repr(result)[:200] if result else None


def connect(family: int, address: Any, kind: int = socket.SOCK_STREAM) -> bool:
    """Connect, or raise OSError."""
    with socket.socket(family, kind) as connection:
        connection.settimeout(1)
        connection.connect(address)
        return True


def talk(family: int, address: Any, message: bytes) -> bytes:
    """Connect, send something, and return the answer, or raise OSError."""
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(2)
        connection.connect(address)
        connection.sendall(message)
        return connection.recv(1000)


def read(path: str) -> bytes:
    """Read the beginning of a file, or raise OSError."""
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
    """Make a raw system call of x86-64; True if the kernel did it, else raise OSError."""
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return True


def processes() -> list[int]:
    """Return every visible process."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def strangers() -> list[int]:
    """Return visible processes that are neither this one nor its ancestors inside the sandbox."""
    own, pid = {1, 2}, os.getpid()
    while pid > 1:  # nothing is shown of the first process
        own.add(pid)
        pid = int(read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[1])
    return [pid for pid in processes() if pid not in own]
