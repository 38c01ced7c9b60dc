"""Frames on the broker's socket: plain data of bounded size, encoded and decoded by both sides with this code.

A frame is a 4-byte length (big-endian) of all that follows, a 4-byte length of the header, the header as JSON, then the
arrays' bytes one after another (little-endian, C order). The header is {"body": {...}, "arrays": [[name, dtype,
shape]]}.

Covers: frames that are too large, cut short or nested too deeply, with other dtypes, or with shapes that do not fit
their bytes. Every defect is a WireError, nothing is unpickled, and nothing is allocated before its size was checked.
Does not cover: what the values mean, which the broker validates, and NaN inside arrays.
"""

import json
import math
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aar.guest.errors import WireError

MAX_FRAME_BYTES = 256 * 2**20
MAX_HEADER_BYTES = 64 * 2**20
MAX_DEPTH = 8
MAX_ARRAYS = 8
MAX_DIMENSIONS = 4
DTYPES = {
    name: np.dtype(name).newbyteorder("<") for name in ("float32", "float64", "uint8", "int8", "int32", "int64", "bool")
}
LENGTH = struct.Struct(">I")


@dataclass(frozen=True)
class Frame:
    """One message: JSON values and named arrays."""

    body: dict[str, Any]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


def encode(frame: Frame) -> bytes:
    """Encode a frame as a payload, without its leading length.

    Raises:
        WireError: a value is not plain data, or a limit is exceeded.
    """
    arrays = {name: _plain(name, array) for name, array in frame.arrays.items()}
    listed = [[name, str(array.dtype.name), list(array.shape)] for name, array in arrays.items()]
    try:
        header = json.dumps({"body": frame.body, "arrays": listed}, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise WireError(f"only plain data can be sent: {error}") from None
    payload = b"".join([LENGTH.pack(len(header)), header, *(array.tobytes() for array in arrays.values())])
    if len(payload) > MAX_FRAME_BYTES:
        raise WireError(f"a frame of {len(payload)} bytes is too large; at most {MAX_FRAME_BYTES} can be sent at once")
    return payload


def _plain(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.name not in DTYPES:
        raise WireError(f"array {name} has dtype {array.dtype}; it must be one of {', '.join(DTYPES)}")
    return array.astype(DTYPES[array.dtype.name], copy=False)


def decode(payload: bytes | bytearray, max_header: int = MAX_HEADER_BYTES) -> Frame:
    """Decode the frame in `payload`; its arrays are fresh, writable and aligned.

    Raises:
        WireError: `payload` is not a well-formed frame.
    """
    if len(payload) < LENGTH.size:
        raise WireError("the frame is too short to hold a header")
    (length,) = LENGTH.unpack_from(payload)
    start = LENGTH.size + length
    if length > max_header or start > len(payload):
        maximum = min(max_header, len(payload) - LENGTH.size)
        raise WireError(f"the header claims {length} bytes; at most {maximum} are possible")
    header = _header(bytes(payload[LENGTH.size : start]))
    return Frame(header["body"], _arrays(header["arrays"], memoryview(payload)[start:]))


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WireError(f"the header is not JSON: {error}") from None
    _check_depth(header, MAX_DEPTH)
    if not isinstance(header, dict) or header.keys() != {"body", "arrays"}:
        raise WireError("the header must have body and arrays, and nothing else")
    if not isinstance(header["body"], dict) or not isinstance(header["arrays"], list):
        raise WireError("the header's body must be an object and its arrays a list")
    return header


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not allowed")


def _check_depth(value: Any, left: int) -> None:
    if not isinstance(value, dict | list):
        return
    if left == 0:
        raise WireError(f"the header is nested deeper than {MAX_DEPTH}")
    for inner in value.values() if isinstance(value, dict) else value:
        _check_depth(inner, left - 1)


def _arrays(listed: list[Any], blobs: memoryview) -> dict[str, np.ndarray]:
    if len(listed) > MAX_ARRAYS:
        raise WireError(f"{len(listed)} arrays in one frame; at most {MAX_ARRAYS} are possible")
    arrays: dict[str, np.ndarray] = {}
    for entry in listed:
        name, dtype, shape = _entry(entry)
        size = dtype.itemsize * math.prod(shape)
        if name in arrays or size > len(blobs):
            raise WireError(f"array {name[:40]!r} is a duplicate, or claims {size} bytes where {len(blobs)} are left")
        arrays[name] = _array(blobs[:size], dtype, shape)
        blobs = blobs[size:]
    if len(blobs):
        raise WireError(f"{len(blobs)} bytes follow the last array")
    return arrays


def _entry(entry: Any) -> tuple[str, np.dtype, tuple[int, ...]]:
    match entry:
        case [str(name), str(dtype), list(shape)] if dtype in DTYPES and len(shape) <= MAX_DIMENSIONS:
            sides = [side for side in shape if type(side) is int and 0 <= side <= MAX_FRAME_BYTES]
            # Even for an array without elements, numpy requires that the product of its other sides is possible.
            if len(sides) == len(shape) and math.prod(max(side, 1) for side in sides) <= MAX_FRAME_BYTES:
                return name, DTYPES[dtype], tuple(shape)
    raise WireError("an array needs a name, a known dtype, and a shape of at most four non-negative lengths")


def _array(blob: memoryview, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    if dtype.kind == "b" and np.any(np.frombuffer(blob, np.uint8) > 1):
        raise WireError("a bool array holds bytes other than 0 and 1")
    return np.frombuffer(blob, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=True)


def send(connection: socket.socket, frame: Frame) -> None:
    """Send one frame. Raises WireError as `encode` does, OSError when the connection is gone."""
    payload = encode(frame)
    connection.sendall(LENGTH.pack(len(payload)))
    connection.sendall(payload)


def receive(connection: socket.socket, max_bytes: int = MAX_FRAME_BYTES) -> bytearray | None:
    """Return the next payload, or None when the peer closed the connection between two frames.

    Raises:
        WireError: the payload claims more than `max_bytes`, or is cut short. Nothing after it can be read.
    """
    prefix = _exactly(connection, LENGTH.size)
    if prefix is None:
        return None
    (length,) = LENGTH.unpack(prefix)
    if length > max_bytes:
        raise WireError(f"a frame claims {length} bytes; at most {max_bytes} are accepted here")
    payload = _exactly(connection, length)
    if payload is None and length:
        raise WireError(f"a frame of {length} bytes never arrived")
    return payload or bytearray()


def _exactly(connection: socket.socket, count: int) -> bytearray | None:
    """Read `count` bytes, or return None if none arrives. The buffer grows with what arrives, not as claimed."""
    received = bytearray()
    while len(received) < count:
        chunk = connection.recv(min(count - len(received), 2**20))
        if not chunk:
            if received:
                raise WireError(f"a frame was cut short: {len(received)} of {count} bytes arrived")
            return None
        received += chunk
    return received
