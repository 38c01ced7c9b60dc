import contextlib
import json
import pickle
import socket
import struct
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from aar.errors import WireError
from aar.guest import wire
from aar.guest.wire import Frame, decode, encode

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
shapes = arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
some_array = st.sampled_from(sorted(wire.DTYPES)).flatmap(lambda dtype: arrays_of.arrays(dtype, shapes))


def payload(header: Any, blobs: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text + blobs


@given(body=st.dictionaries(st.text(), plain, max_size=3), arrays=st.dictionaries(st.text(), some_array, max_size=3))
def test_every_frame_survives_the_round_trip(body: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    received = decode(encode(Frame(body, arrays)))
    assert received.body == body
    assert received.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert received.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(received.arrays[name], array)
        assert received.arrays[name].flags.writeable and received.arrays[name].flags.aligned


@given(noise=st.binary(max_size=300))
def test_noise_is_a_wire_error_and_nothing_else(noise: bytes) -> None:
    with pytest.raises(WireError):
        decode(noise)


@given(data=st.data())
def test_a_damaged_frame_is_a_wire_error_or_another_valid_frame(data: st.DataObject) -> None:
    sound = bytearray(encode(Frame({"call": "x", "n": 3}, {"a": np.arange(4), "b": np.ones((2, 2), np.float32)})))
    for _ in range(data.draw(st.integers(1, 3))):
        sound[data.draw(st.integers(0, len(sound) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WireError):
        assert isinstance(decode(sound), Frame)


@pytest.mark.parametrize("order", ["F", "big-endian", "strided"])
def test_memory_layout_does_not_travel(order: str) -> None:
    array = np.arange(12, dtype=np.float64).reshape(3, 4)
    layouts = {"F": np.asfortranarray(array), "big-endian": array.astype(">f8"), "strided": np.repeat(array, 2, 0)[::2]}
    np.testing.assert_array_equal(decode(encode(Frame({}, {"a": layouts[order]}))).arrays["a"], array)


@pytest.mark.parametrize(
    "array", [np.array([object()]), np.array(["text"]), np.zeros(2, np.complex64), np.zeros(2, np.float16)]
)
def test_other_dtypes_are_not_sent(array: np.ndarray) -> None:
    with pytest.raises(WireError, match="dtype"):
        encode(Frame({}, {"a": array}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, b"bytes", np.float32(1)])
def test_only_plain_data_is_sent(value: Any) -> None:
    with pytest.raises(WireError, match="plain data"):
        encode(Frame({"value": value}))


DEEP = {"body": {"a": [[[[[[[[[[1]]]]]]]]]]}, "arrays": []}


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"\x00\x00",
        struct.pack(">I", 2**32 - 1),
        payload(b"not json"),
        payload(b"\xff\xfe"),
        payload([]),
        payload({"body": {}}),
        payload({"body": [], "arrays": []}),
        payload({"body": {}, "arrays": {}}),
        payload({"body": {}, "arrays": [], "more": 1}),
        payload(b'{"body": {"a": NaN}, "arrays": []}'),
        payload(b'{"body": {"a": ' + b"9" * 5000 + b'}, "arrays": []}'),
        payload(DEEP),
        payload(b"[" * 100_000),
        payload({"body": {}, "arrays": []}, b"trailing"),
        payload({"body": {}, "arrays": [["a", "float32", [3]]]}, b"short"),
        payload({"body": {}, "arrays": [["a", "float32", [-1]]]}),
        payload({"body": {}, "arrays": [["a", "float32", [-1, -1]]]}, b"abcd"),
        payload({"body": {}, "arrays": [["a", "float32", [2**40, 2**40]]]}),
        payload({"body": {}, "arrays": [["a", "float32", [True]]]}, b"abcd"),
        payload({"body": {}, "arrays": [["a", "float32", [1.0]]]}, b"abcd"),
        payload({"body": {}, "arrays": [["a", "float32", [1] * 5]]}, b"abcd"),
        payload({"body": {}, "arrays": [["a", "object", [1]]]}, pickle.dumps(1)),
        payload({"body": {}, "arrays": [["a", "O", [1]]]}, b"12345678"),
        payload({"body": {}, "arrays": [["a", ["float32"], [1]]]}, b"abcd"),
        payload({"body": {}, "arrays": [["a", "bool", [1]]]}, b"\x02"),
        payload({"body": {}, "arrays": [["a", "int8", [0]], ["a", "int8", [0]]]}),
        payload({"body": {}, "arrays": [[str(n), "int8", [0]] for n in range(100)]}),
        pickle.dumps({"body": {}, "arrays": []}),
    ],
)
def test_hostile_frames_are_wire_errors(hostile: bytes) -> None:
    with pytest.raises(WireError):
        decode(hostile)


def test_a_header_larger_than_allowed_is_refused() -> None:
    with pytest.raises(WireError, match="header claims"):
        decode(payload({"body": {"a": "x" * 1000}, "arrays": []}), max_header=500)


def test_frames_follow_one_another_on_a_socket() -> None:
    left, right = socket.socketpair()
    with left, right:

        def send_three() -> None:
            for n in range(3):
                wire.send(left, Frame({"n": n}, {"a": np.full((200_000,), n)}))

        sender = threading.Thread(target=send_three)
        sender.start()
        for n in range(3):
            received = wire.receive(right)
            assert received is not None
            assert decode(received).body == {"n": n}
        sender.join()
        left.shutdown(socket.SHUT_WR)
        assert wire.receive(right) is None


@pytest.mark.parametrize("sent", [b"\0", b"\0\0\0\x0a", b"\0\0\0\x0aabc", b"\x80\0\0\0"])
def test_a_frame_that_is_cut_short_or_too_long_is_a_wire_error(sent: bytes) -> None:
    left, right = socket.socketpair()
    with left, right:
        left.sendall(sent)
        left.shutdown(socket.SHUT_WR)
        with pytest.raises(WireError):
            wire.receive(right, max_bytes=1000)
