"""The first program of a method's sandbox: ask for a method, run its `supervise(lab)`, report the result.

    python -m aar.guest.run_method SOCKET

It starts before there is a method: its imports are done while it waits for the answer to its first call. It shares its
process with method code, so the broker trusts nothing that it reports and cannot check.
"""

import linecache
import os
import socket
import sys
import traceback
import types
from typing import Any

import numpy as np

from aar.guest import wire
from aar.guest.errors import LabError
from aar.guest.lab import Lab, Student, receive_method

METHOD = "method.py"
FRAMES_SHOWN = 8


def main() -> None:
    """Run the method and send the final frame: the student's id, or an error message."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(sys.argv[1])
    result = _run(connection)
    sys.stdout.flush()
    sys.stderr.flush()
    wire.send(connection, wire.Frame({"call": "finish", **result.body}, result.arrays))
    # End at once: threads and exit handlers of the method must not keep the sandbox alive.
    os._exit(0)


def _run(connection: socket.socket) -> wire.Frame:
    """Run the method; return the content of the final frame."""
    try:
        source = receive_method(connection)
        lab = Lab(connection)
        returned = _load(source).supervise(lab)
        if isinstance(returned, Student):
            return wire.Frame({"student": returned.id})
        if lab.test_examples:
            return _predictions(np.asarray(returned))
    # Method code may raise anything, SystemExit and KeyboardInterrupt included: it is the result of the method.
    except BaseException as error:
        return wire.Frame({"error": describe(error)})
    kind = type(returned).__name__
    return wire.Frame({"error": f"supervise(lab) returned {kind}, not a Student; return what lab.fine_tune returned"})


def _predictions(values: np.ndarray) -> wire.Frame:
    if values.dtype.name not in wire.DTYPES or values.ndim > 2:
        kind = f"an array of {values.dtype}, shape {values.shape}"
        return wire.Frame({"error": f"supervise(lab) returned {kind}; return a Student, labels or probabilities"})
    return wire.Frame({}, {"predictions": values})


def _load(source: bytes) -> Any:
    linecache.cache[METHOD] = (len(source), None, source.decode(errors="replace").splitlines(keepends=True), METHOD)
    module = types.ModuleType("method")
    module.__file__ = METHOD
    sys.modules["method"] = module
    exec(compile(source, METHOD, "exec"), module.__dict__)
    if not callable(getattr(module, "supervise", None)):
        raise LabError("method.py defines no function supervise(lab)")
    return module


def describe(error: BaseException) -> str:
    """Describe an error to the method's author, with the lines of the method that led to it."""
    if isinstance(error, SyntaxError) and error.filename == METHOD:
        return f"syntax error in method.py line {error.lineno}: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == METHOD]
    if isinstance(error, LabError) and not frames:
        return str(error)
    lines = [f"method raised {type(error).__name__}: {error}"]
    lines += [f"  method.py line {frame.lineno}, in {frame.name}: {frame.line}" for frame in frames[-FRAMES_SHOWN:]]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
