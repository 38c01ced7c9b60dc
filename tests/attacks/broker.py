"""Ways to confuse the broker, from method code that speaks to its socket by hand.

Each gets the lab and returns what got through. The broker may hang up, but must not answer wrongly or fail.
"""

import json
import os
import socket
import struct
import threading
from typing import Any


def send(lab: Any, payload: bytes) -> None:
    """Send one frame."""
    lab._connection.sendall(struct.pack(">I", len(payload)) + payload)


def frame(body: Any, arrays: Any = (), blobs: bytes = b"") -> bytes:
    """Return a payload with this header, well-formed or not."""
    header = body if isinstance(body, bytes) else json.dumps({"body": body, "arrays": list(arrays)}).encode()
    return struct.pack(">I", len(header)) + header + blobs


def answer(lab: Any) -> dict[str, Any] | None:
    """Return the body of the next answer; None if the broker has hung up."""
    try:
        head = lab._connection.recv(4, socket.MSG_WAITALL)
        if len(head) < 4:
            return None
        payload = lab._connection.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL)
    except OSError:
        return None
    size = struct.unpack(">I", payload[:4])[0]
    return dict(json.loads(payload[4 : 4 + size])["body"])


def refused(lab: Any, payload: bytes) -> str | None:
    """Send a frame that must be answered with an error, or not at all."""
    send(lab, payload)
    reply = answer(lab)
    return None if reply is None or "error" in reply else f"it was answered with {reply}"


def a_frame_of_four_gibibytes(lab: Any) -> str | None:
    """Claimed, not sent: nothing may be allocated for it."""
    lab._connection.sendall(b"\xff\xff\xff\xff" + b"x" * 1000)
    reply = answer(lab)
    return None if reply is None or "error" in reply else repr(reply)


def a_frame_that_never_ends(lab: Any) -> str | None:
    """Send half of it, and close the connection."""
    lab._connection.sendall(struct.pack(">I", 100) + b"x" * 10)
    lab._connection.shutdown(socket.SHUT_WR)
    reply = answer(lab)
    return None if reply is None or "error" in reply else repr(reply)


def frames_without_a_header(lab: Any) -> str | None:
    """Empty, too short, and with a header longer than the frame."""
    for payload in (b"", b"\0", b"\0\0\0\0", struct.pack(">I", 10**6) + b"{}", b"\xff" * 64):
        found = refused(lab, payload)
        if found:
            return found
    return None


def headers_that_are_not_json(lab: Any) -> str | None:
    """Other formats, invalid UTF-8, invalid numbers."""
    for header in (b"\x80\x04pickle", b"\xff\xfe", b'{"body": NaN, "arrays": []}', b"[]", b"null", b"{}",
                   b'{"body": {"call": "embed", "layer": 1e999}, "arrays": []}'):  # fmt: skip
        found = refused(lab, frame(header))
        if found:
            return found
    return None


def a_header_deeper_than_any_stack(lab: Any) -> str | None:
    """Brackets in brackets."""
    return refused(lab, frame(b"[" * 30_000 + b"]" * 30_000))


def the_same_key_twice(lab: Any) -> str | None:
    """Checked as one call, made as another?"""
    return refused(lab, frame(b'{"body": {"call": "describe", "call": "open"}, "arrays": []}'))


def unknown_calls(lab: Any) -> str | None:
    """Python's names, other types, names of the broker's own methods."""
    for name in ("__class__", "_finish", "stop", "", None, 3, ["describe"], {"call": "describe"}, "x" * 10_000):
        found = refused(lab, frame({"call": name}))
        if found:
            return found
    return None


def invalid_dtypes(lab: Any) -> str | None:
    """Objects, which numpy would unpickle, records, and strings."""
    for dtype in ("object", "O", "V8", "S4", "U4", "complex64", "float16", "<f4", "datetime64[s]", ""):
        found = refused(lab, frame({"call": "fine_tune"}, [["targets", dtype, [2]]], bytes(16)))
        if found:
            return found
    return None


def invalid_shapes(lab: Any) -> str | None:
    """Negative, fractional, overflowing, contradicting their bytes, in too many dimensions."""
    for shape in ([-1], [2**62, 4], [2**32, 2**32], [1.5], ["2"], [True], [10**30], [1] * 40, [3], None):
        found = refused(lab, frame({"call": "fine_tune"}, [["targets", "float32", shape]], bytes(8)))
        if found:
            return found
    return None


def too_many_arrays(lab: Any) -> str | None:
    """A thousand empty ones, and two with the same name."""
    many = [[f"a{number}", "int8", [0]] for number in range(1000)]
    twice = [["targets", "int8", [0]], ["targets", "int8", [0]]]
    return refused(lab, frame({"call": "embed"}, many)) or refused(lab, frame({"call": "embed"}, twice))


def invalid_numbers(lab: Any) -> str | None:
    """NaN and infinity in targets and weights; bools that are neither true nor false."""
    n = len(lab.examples)
    nan = struct.pack("<f", float("nan")) * (2 * n)
    huge = struct.pack("<d", 1e300) * n
    good = struct.pack("<ff", 0.5, 0.5) * n
    fit, targets = {"call": "fine_tune"}, ["targets", "float32", [n, 2]]
    return (
        refused(lab, frame(fit, [targets], nan))
        or refused(lab, frame(fit, [targets, ["weights", "float64", [n]]], good + huge))
        or refused(lab, frame(fit, [targets, ["weights", "bool", [n]]], good + b"\x07" * n))
    )


def rows_of_other_data(lab: Any) -> str | None:
    """Row numbers below 0 and beyond the end."""
    n = len(lab.examples)
    student = lab.fine_tune(lab.weak_labels).id
    for row in (-1, n, 2**31, -(2**63)):
        rows = struct.pack("<q", row)
        found = refused(lab, frame({"call": "predict", "student": student}, [["rows", "int64", [1]]], rows))
        if found:
            return found
    return None


def students_of_others(lab: Any) -> str | None:
    """Guessed handles, keys of artifacts, paths."""
    for student in ("student-1", "student-7", "../../artifacts/x", "0" * 64, "", None, 1, ["student-1"]):
        found = refused(lab, frame({"call": "predict", "student": student}))
        if found:
            return found
    return None


def finishing_twice(lab: Any) -> str | None:
    """A second end, with another student, after the first."""
    first, second = lab.fine_tune(lab.weak_labels).id, lab.fine_tune(lab.weak_labels).id
    send(lab, frame({"call": "finish", "student": first}))
    send(lab, frame({"call": "finish", "student": second}))
    os._exit(0)


def finishing_with_a_student_of_another(lab: Any) -> str | None:
    """An end with a handle that this run did not make."""
    send(lab, frame({"call": "finish", "student": "student-1"}))
    os._exit(0)


def the_method_of_another(lab: Any) -> str | None:
    """Ask for the source again: it is handed out once, to this sandbox."""
    return refused(lab, frame({"call": "method"}))


def a_second_connection(lab: Any) -> str | None:
    """The broker accepts only one."""
    with socket.socket(socket.AF_UNIX) as other:
        other.settimeout(0.5)
        try:
            other.connect("/run/broker.sock")
        except OSError:
            return None
    return "a second connection was accepted"


def more_fits_than_paid_for_by_threads(lab: Any) -> str | None:
    """All at the same moment."""
    done: list[str] = []

    def fit() -> None:
        try:
            done.append(lab.fine_tune(lab.weak_labels).id)
        except Exception:
            return

    threads = [threading.Thread(target=fit) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return f"{len(done)} fits" if len(done) > 3 else None


def more_fits_than_paid_for_by_bad_ones(lab: Any) -> str | None:
    """Refused calls must not give anything back."""
    done = 0
    for _ in range(12):
        send(lab, frame({"call": "fine_tune"}, [["targets", "float32", [1, 2]]], bytes(8)))
        answer(lab)
        try:
            lab.fine_tune(lab.weak_labels)
            done += 1
        except ValueError:
            continue
    return f"{done} fits" if done > 3 else None


def a_flood_of_calls(lab: Any) -> str | None:
    """Each kind of call is counted."""
    try:
        for _ in range(5000):
            lab.zero_shot()
    except ValueError:
        return None
    return "all were answered"


def a_descriptor_with_a_frame(lab: Any) -> str | None:
    """Send the broker an open file with a call: it must neither keep it nor fail."""
    import array

    payload = frame({"call": "describe"})
    files = array.array("i", [os.open("/tmp", os.O_RDONLY)]).tobytes()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)]
    lab._connection.sendmsg([struct.pack(">I", len(payload)) + payload], rights)
    reply = answer(lab)
    return None if reply and "examples" in reply else f"the broker answered {reply}"


def an_empty_array_of_impossible_shape(lab: Any) -> str | None:
    """It has no bytes because one side is 0; the other sides overflow when multiplied."""
    found = refused(lab, frame({"call": "embed"}, [["a", "float32", [0, 2**28, 2**28, 2**28]]]))
    if found:
        return found
    send(lab, frame({"call": "zero_shot"}))
    return None if "error" not in (answer(lab) or {"error": ""}) else "the broker has gone"


def endless_nonsense(lab: Any) -> str | None:
    """Refusals also cost the platform time, and must be counted."""
    for _ in range(5000):
        try:
            send(lab, b"\0\0\0\2{}")
        except OSError:
            return None
        if answer(lab) is None:
            return None
    return "all were answered"


def answers_that_nobody_reads(lab: Any) -> str | None:
    """The broker waits for room to write until the method has ended."""
    _ask_and_never_read(lab, descriptors=False)
    os._exit(0)


def its_own_end_in_transit(lab: Any) -> str | None:
    """The same, with this end of the connection in transit to the broker, so that it is never closed nor read."""
    _ask_and_never_read(lab, descriptors=True)
    os._exit(0)


def _ask_and_never_read(lab: Any, *, descriptors: bool) -> None:
    student, rows = lab.fine_tune(lab.weak_labels).id, struct.pack("<q", 0) * 400
    payload = frame({"call": "predict", "student": student}, [["rows", "int64", [400]]], rows)
    lab._connection.settimeout(1)
    try:
        for number in range(400):
            mail = [lab._connection.fileno()] if descriptors and number >= 40 else []
            socket.send_fds(lab._connection, [struct.pack(">I", len(payload)) + payload], mail)
    except OSError:
        return


def endless_descriptors(lab: Any) -> str | None:
    """Send open files with each frame: the platform has a limited number."""
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(50)]
    payload = frame({"call": "nothing"})
    for _ in range(100):
        socket.send_fds(lab._connection, [struct.pack(">I", len(payload)) + payload], opened)
        if answer(lab) is None:
            return None
    return None
