"""Whole runs: a method file, a real sandbox, a broker, and what the researcher reads."""

import contextlib
import os
import threading
import time
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aar.errors import LabError, MethodError, TrainingError
from aar.experiments.broker import RunBudget
from aar.experiments.method_sandbox import Progress, method_pool, run_method
from aar.sandbox import Limits, provider
from aar.sandbox.decoys import METHODS, decoys, touched
from aar.scoring.records import ExperimentRun
from tests.experiments.doubles import NumpyBackend
from tests.keys import KEY

LIMITS = Limits(memory_bytes=512 * 2**20, cpu_seconds=20, wall_seconds=20, processes=16, file_bytes=4 * 2**20)

FORK_BOMB = "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass"

GOOD = """
import numpy as np

def supervise(lab):
    prior = lab.zero_shot("{prompt}")
    posterior = lab.weak_labels * prior
    posterior /= posterior.sum(axis=1, keepdims=True)
    first = lab.fine_tune(posterior, weights=posterior.max(axis=1), order=np.argsort(posterior[:, 0]))
    assert first.predict([0]).shape == (1, 2) and lab.embed().shape[0] == len(lab.examples)
    return lab.fine_tune(first.predict(), base=first, epochs=1.5, lr=1e-4)
"""


def run(source: str, backend: NumpyBackend | None = None, limits: Limits = LIMITS, fits: int = 4) -> Any:
    return run_bytes(source.encode(), backend or NumpyBackend(), limits, fits)


def run_bytes(source: bytes, backend: NumpyBackend, limits: Limits = LIMITS, fits: int = 1) -> Any:
    with closing(method_pool(provider("bubblewrap"), limits, size=0)) as pool:
        return run_method(source, backend, pool, RunBudget(fits))


def failure(source: str, limits: Limits = LIMITS) -> str:
    with pytest.raises(MethodError) as caught:
        run(source, limits=limits)
    return str(caught.value)


def test_a_good_method_returns_its_student() -> None:
    backend = NumpyBackend()
    assert run(GOOD, backend) == "student-2"
    assert backend.requests[1].base == "student-1"
    assert backend.templates == ["{prompt}"]


def test_a_run_costs_little_more_than_a_start_of_python() -> None:
    def seconds() -> float:
        started = time.monotonic()
        run(GOOD)
        return time.monotonic() - started

    assert min(seconds() for _ in range(3)) < 1  # 0.09 on an idle machine


def test_an_error_names_the_methods_own_line() -> None:
    source = "def helper(x):\n    return 1 / x\n\ndef supervise(lab):\n    return helper(0)\n"
    assert failure(source) == (
        "method raised ZeroDivisionError: division by zero\n"
        "  method.py line 5, in supervise: return helper(0)\n"
        "  method.py line 2, in helper: return 1 / x"
    )


def test_a_syntax_error_names_its_line() -> None:
    assert failure("import numpy\n\ndef supervise(lab)\n    pass\n") == "syntax error in method.py line 3: expected ':'"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "no function supervise"),
        ("supervise = 3", "no function supervise"),
        ("def supervise(): pass", "TypeError: supervise"),
        ("def supervise(lab): return lab.weak_labels", "returned ndarray, not a Student"),
        ("def supervise(lab): pass", "returned NoneType, not a Student"),
        ("import sys\ndef supervise(lab): sys.exit(3)", "SystemExit: 3"),
        ("import os\ndef supervise(lab): os._exit(3)", "ended with exit code 3"),
        ("import os\ndef supervise(lab): os.kill(os.getpid(), 11)", "ended with exit code 139"),
        ("def supervise(lab): raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import torch", "No module named 'torch'"),
        ("def supervise(lab): return lab.fine_tune([[0.5, 0.5]])", r"shape \(1, 2\)"),
        ("def supervise(lab): return lab.fine_tune(lab.weak_labels * float('nan'))", "targets hold NaN"),
        ("def supervise(lab): return lab.fine_tune(lab.weak_labels, weights=[float('nan')] * 20)", "weights hold NaN"),
        ("def supervise(lab): f()\ndef f(): f()", "RecursionError"),
        ("def supervise(lab): return bytearray(2**40)", "MemoryError"),
        ("from aar.guest.lab import Student\ndef supervise(lab): return Student(lab, 'student-1')", "did not train"),
        ("x = '\0'", "null bytes"),
        ("# coding: nonsense", "syntax error|SyntaxError"),
    ],
)
def test_a_failure_is_reported(source: str, reason: str) -> None:
    with pytest.raises(MethodError, match=reason):
        run(source)


def test_a_failure_comes_with_the_methods_output() -> None:
    assert failure("print('loading')\ndef supervise(lab): 1 / 0").endswith("it printed:\nloading")


def test_a_file_that_is_no_text_is_refused_like_a_syntax_error() -> None:
    with pytest.raises(MethodError, match=r"syntax error|SyntaxError|null bytes"):
        run_bytes(b"\xff\xfe\x00", NumpyBackend())


def test_a_huge_file_is_refused() -> None:
    assert "at most" in failure("#" * (2**20 + 1))


@pytest.mark.parametrize(
    ("source", "limits", "reason"),
    [
        ("def supervise(lab):\n  while True: pass", {"wall_seconds": 0.5}, "killed: wall time limit 0.5 s"),
        ("import time\ntime.sleep(60)", {"wall_seconds": 0.5}, "killed: wall time limit 0.5 s"),
        ("def supervise(lab):\n  while True: pass", {"cpu_seconds": 0.5}, "killed: CPU time limit 0.5 s"),
        ("x = []\nwhile True: x.append(bytearray(2**20))", {}, "killed: memory limit 512 MiB"),
        ("while True: print('x' * 9999)", {}, "killed: output limit 1 MiB"),
        (FORK_BOMB, {"wall_seconds": 1}, "killed: wall time limit"),
    ],
)
def test_exceeding_a_limit_is_an_error_that_names_the_limit(source: str, limits: dict[str, Any], reason: str) -> None:
    started = time.monotonic()
    assert failure(source, replace(LIMITS, **limits)).startswith(reason)
    assert time.monotonic() - started < 10


def test_a_method_may_survive_a_refusal() -> None:
    source = """
from aar.guest.errors import LabError
def supervise(lab):
    try:
        lab.fine_tune(lab.weak_labels, loss="mse")
    except LabError:
        return lab.fine_tune(lab.weak_labels)
"""
    assert run(source) == "student-1"


def test_the_budget_of_fits_holds() -> None:
    source = "def supervise(lab):\n  for _ in range(3): student = lab.fine_tune(lab.weak_labels)\n  return student"
    with pytest.raises(MethodError, match="budget of fine_tune calls is spent"):
        run(source, fits=2)


def test_a_method_finds_neither_network_nor_files_nor_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AAR_CANARY", "sings")
    source = """
import os, socket
def supervise(lab):
    assert "AAR_CANARY" not in os.environ
    assert not os.path.exists("/etc/passwd") and not os.path.exists("/usr") and not os.path.exists("/root")
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    except OSError:
        return lab.fine_tune(lab.weak_labels)
"""
    assert run(source) == "student-1"


def test_a_method_may_use_threads_and_processes() -> None:
    source = """
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
def supervise(lab):
    with get_context("fork").Pool(2) as pool:
        assert pool.map(abs, [-1, -2]) == [1, 2]
    with ThreadPoolExecutor(4) as threads:
        assert len(list(threads.map(lambda _: lab.zero_shot(), range(8)))) == 8
        return list(threads.map(lambda _: lab.fine_tune(lab.weak_labels), range(3)))[-1]
"""
    assert run(source).startswith("student-")


def test_hostile_frames_from_inside_end_the_method_and_nothing_else() -> None:
    source = """
import socket, struct
def supervise(lab):
    lab._connection.sendall(struct.pack(">I", 2**32 - 1) + b"x" * 1000)
    return lab.fine_tune(lab.weak_labels)
"""
    assert "before supervise(lab) returned" in failure(source)  # whether its last frame still goes out is a race


def test_a_second_connection_is_not_served() -> None:
    source = """
import socket
def supervise(lab):
    other = socket.socket(socket.AF_UNIX)
    try:
        other.connect("/run/broker.sock")
    except ConnectionRefusedError:
        return lab.fine_tune(lab.weak_labels)
"""
    assert run(source) == "student-1"


@pytest.mark.parametrize("refusal", [LabError("no such base"), TrainingError("out of memory")])
def test_a_refusal_of_the_platform_is_raised_in_the_method(refusal: Exception) -> None:
    with pytest.raises(MethodError, match=f"method raised LabError: {refusal}"):
        run(GOOD, NumpyBackend(failure=refusal))


@pytest.mark.parametrize("fault", [ConnectionError("node lost"), ZeroDivisionError("bug"), OSError(28, "disk full")])
def test_a_fault_of_the_platform_is_not_blamed_on_the_method(fault: Exception) -> None:
    source = """
def supervise(lab):
    try:
        lab.fine_tune(lab.weak_labels)
    finally:
        while True: pass
"""
    with pytest.raises(type(fault)) as caught:
        run(source, NumpyBackend(failure=fault))
    assert caught.value is fault


def test_a_dead_method_does_not_wait_for_the_call_it_made() -> None:
    gate = threading.Event()
    started = time.monotonic()
    with pytest.raises(MethodError, match="wall time limit 1 s"):
        run(GOOD, NumpyBackend(gate=gate), replace(LIMITS, wall_seconds=1))
    assert time.monotonic() - started < 5
    gate.set()


def test_nothing_is_left_behind() -> None:
    run(GOOD)
    time.sleep(0.1)
    before = (len(os.listdir("/proc/self/fd")), threading.active_count())
    for source in (GOOD, "1 / 0", "import os\nos._exit(1)"):
        with contextlib.suppress(MethodError):
            run(source)
    time.sleep(0.1)
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before


SHOWN = [{"prompt": f"test {row}", "first": "a", "second": "b"} for row in range(3)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def supervise(lab): return [1, 0, len(lab.test_examples) - 2]", [1, 0, 1]),
        ("def supervise(lab): return lab.fine_tune(lab.weak_labels).predict_test()", [[0.2, 0.8]] * 3),
        ("def supervise(lab): return [float('nan')]", [float("nan")]),
    ],
)
def test_where_test_inputs_are_shown_predictions_can_be_handed_in(source: str, expected: list[Any]) -> None:
    np.testing.assert_allclose(run(source, NumpyBackend(test_examples=SHOWN)), expected, rtol=1e-6)


@pytest.mark.parametrize("values", ["['A', 'B']", "{1: 2}", "None"])
def test_a_result_that_is_neither_student_nor_numbers_is_refused_there_too(values: str) -> None:
    with pytest.raises(MethodError, match=r"returned an array of .*; return a Student, labels or probabilities"):
        run(f"def supervise(lab): return {values}", NumpyBackend(test_examples=SHOWN))


def test_where_they_are_not_shown_they_cannot_be_predicted() -> None:
    assert "not shown" in failure("def supervise(lab): return lab.fine_tune(lab.weak_labels).predict_test()")
    assert run("def supervise(lab):\n  assert lab.test_examples == []\n  return lab.fine_tune(lab.weak_labels)")


def test_decoys_are_in_the_folder_of_the_method() -> None:
    source = b"def supervise(lab):\n  raise RuntimeError(open('/work/test_labels.jsonl').read())"
    pool = method_pool(provider("bubblewrap"), LIMITS, size=0, decoys=decoys(KEY, METHODS))
    with closing(pool), pytest.raises(MethodError) as caught:
        run_method(source, NumpyBackend(), pool, RunBudget(1))
    assert touched(str(caught.value), KEY, METHODS) == ["labels"]


def test_a_run_is_followed_and_can_be_cancelled() -> None:
    progress = Progress()
    source = b"import time\ndef supervise(lab):\n    print('begun', flush=True)\n    time.sleep(60)\n"
    with closing(method_pool(provider("bubblewrap"), LIMITS, size=0)) as pool:
        threading.Timer(0.5, progress.cancel).start()
        with pytest.raises(MethodError, match="stopped"):
            run_method(source, NumpyBackend(), pool, RunBudget(1), observer=progress.of(ExperimentRun("data", 7)))
    assert progress.log() == "data, seed 7:\nbegun\n"


def test_a_run_that_starts_after_the_cancellation_ends_at_once() -> None:
    progress, stopped = Progress(), threading.Event()
    progress.cancel()
    progress.of(ExperimentRun("data", 1)).started(stopped.set)
    assert stopped.is_set()
