"""The first program of a method's sandbox: ask for a method, run its `supervise(lab)`, report how it went.

    python -m aar.guest.run_method SOCKET

It is started before there is a method: imports are done, and the answer to its first call may take its time. It shares
its process with method code, so nothing it says is believed beyond what the broker can check.
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
    """Run the method and send the final frame: the student's id, or what went wrong in words."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(sys.argv[1])
    result = _run(connection)
    sys.stdout.flush()
    sys.stderr.flush()
    wire.send(connection, wire.Frame({"call": "finish", **result.body}, result.arrays))
    # Threads and exit handlers of the method have nothing to say any more.
    os._exit(0)


def _run(connection: socket.socket) -> wire.Frame:
    """What the last frame says, but for its name."""
    try:
        source = receive_method(connection)
        lab = Lab(connection)
        returned = _load(source).supervise(lab)
        if isinstance(returned, Student):
            return wire.Frame({"student": returned.id})
        if lab.test_examples:
            return _predictions(np.asarray(returned))
    # Method code may raise anything, SystemExit and KeyboardInterrupt too; all of it is the method's result.
    except BaseException as error:
        return wire.Frame({"error": describe(error)})
    kind = type(returned).__name__
    return wire.Frame({"error": f"supervise(lab) returned {kind}, not a Student; return what lab.fine_tune gave"})


def _predictions(values: np.ndarray) -> wire.Frame:
    if values.dtype.name not in wire.DTYPES or values.ndim > 2:
        found = f"an array of {values.dtype}, shape {values.shape}"
        return wire.Frame({"error": f"supervise(lab) returned {found}; return a Student, labels or probabilities"})
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
    """What went wrong, for whoever wrote the method: the error, and the method's own lines that led to it."""
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
