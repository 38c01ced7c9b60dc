"""The broker's answers to valid and hostile calls, made over a raw socket."""

import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from aar.errors import LabError, TrainingError, WireError
from aar.experiments import broker as broker_module
from aar.experiments.broker import Broker, RunBudget, printable
from aar.guest import wire
from aar.guest.lab import Lab, Student
from aar.models.recipe import XENT, Loss, Recipe
from tests.experiments.doubles import N, NumpyBackend

UNIFORM = np.full((N, 2), 0.5, np.float32)


class Served:
    """A broker over a numpy backend, and the other end of its socket."""

    def __init__(self, backend: NumpyBackend) -> None:
        self.backend = backend
        self.ended = threading.Event()
        self.connection, self.other_end = socket.socketpair()
        self.broker = Broker(b"source", backend, self.other_end, RunBudget(3, programs=1, ranks=2), self.ended.set)
        self.broker.start()
        self.connection.settimeout(10)

    def ask(self, body: dict[str, Any], **arrays: np.ndarray) -> wire.Frame:
        wire.send(self.connection, wire.Frame(body, arrays))
        return self.answer()

    def answer(self) -> wire.Frame:
        payload = wire.receive(self.connection)
        assert payload is not None
        return wire.decode(payload)

    def refusal(self, body: dict[str, Any], **arrays: np.ndarray) -> str:
        return str(self.ask(body, **arrays).body["error"])

    def close(self) -> None:
        self.connection.close()
        self.broker.join()
        self.other_end.close()


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served(NumpyBackend())
    yield served
    served.close()


@pytest.fixture
def lab(served: Served) -> Lab:
    return Lab(served.connection)


def test_a_lab_describes_the_run(lab: Lab) -> None:
    assert (lab.kind, lab.seed, lab.budget) == ("preference", 7, {"fits": 3, "programs": 1})
    assert lab.examples[3] == {"prompt": "question 3", "first": "yes", "second": "nö"}
    assert lab.weak_labels.shape == (N, 2)
    assert lab.weak_labels.dtype == np.float32
    assert lab.recipe == Recipe(lr=0.002).model_dump()


def test_models_answer_through_the_lab(lab: Lab, served: Served) -> None:
    assert lab.zero_shot("Which? {first}").shape == (N, 2)
    lab.zero_shot("Which? {first}", labels=(" one", " two"))
    assert served.backend.templates == ["Which? {first}"] * 2
    assert served.backend.labels == [None, (" one", " two")]
    assert lab.embed(2).shape == (N, 2, 3)
    assert lab.embed([0.5, -1, 3], pool="last")[0, 0, :, 0].tolist() == [0.5, -1, 3]
    assert served.backend.pools == ["mean", "last"]
    student = lab.fine_tune(lab.weak_labels, weights=np.arange(N), order=range(N), loss="logconf", epochs=2, lr=0.01)
    assert student.predict().shape == (N, 2)
    assert student.predict([3, 4]).shape == (2, 2)
    assert lab.budget == {"fits": 2, "programs": 1}


def test_a_fine_tuning_arrives_as_it_was_asked_for(lab: Lab, served: Served) -> None:
    first = lab.fine_tune(np.arange(N) % 2)
    lab.fine_tune(
        UNIFORM, weights=np.arange(N), order=[1, 1, 5], loss="gce", loss_options={"q": 1}, epochs=1, lr=1e-3,
        base=first, replica=3,
    )  # fmt: skip
    plain, full = served.backend.requests
    np.testing.assert_array_equal(plain.targets, np.eye(2, dtype=np.float32)[np.arange(N) % 2])
    assert (plain.weights, plain.order, plain.loss, plain.epochs, plain.lr, plain.base, plain.replica) == (
        None, None, XENT, None, None, None, 0,
    )  # fmt: skip
    assert full.weights is not None and full.order is not None
    assert (full.weights.dtype, full.order.tolist(), full.base) == (np.dtype("float32"), [1, 1, 5], first.id)
    assert (full.loss, full.replica) == (Loss("gce", (("q", 1.0),)), 3)


def with_nan(value: float) -> np.ndarray:
    array = UNIFORM.copy()
    array[4, 1] = value
    return array


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"targets": UNIFORM[:-1]}, "shape"),
        ({"targets": np.ones((N, 3))}, "shape"),
        ({"targets": np.full(N, 2)}, "must be 0 or 1"),
        ({"targets": with_nan(np.nan)}, "NaN or infinity in 1 of 20 rows, first in row 4"),
        ({"targets": with_nan(np.inf)}, "NaN or infinity"),
        ({"targets": with_nan(0.6)}, "summing to 1"),
        ({"targets": np.tile([1.5, -0.5], (N, 1))}, "not negative"),
        ({"weights": np.ones(N - 1)}, "shape"),
        ({"weights": np.full(N, np.nan)}, "NaN"),
        ({"weights": -np.ones(N)}, "negative"),
        ({"weights": np.zeros(N)}, "not all 0"),
        ({"weights": np.full(N, 1e300)}, "infinity"),
        ({"order": [N]}, "0 to 19"),
        ({"order": [-1]}, "0 to 19"),
        ({"order": np.zeros(20 * N + 1, int)}, "between 1 and 400"),
        ({"order": []}, "between 1 and 400"),
        ({"order": [0.5]}, "integers"),
        ({"order": [0], "weights": np.arange(N)}, "nothing would be trained"),
        ({"loss": "mse"}, "xent, logconf"),
        ({"loss": ["xent"]}, "xent, logconf"),
        ({"loss": "xent", "loss_options": {"q": 0.5}}, "has no option 'q'; its options: none"),
        ({"loss": "gce", "loss_options": {"p": 0.5}}, "has no option 'p'; its options: q"),
        ({"loss": "gce", "loss_options": {"q": 0}}, "q .* is 0.0; it must be from 0.01 to 1"),
        ({"loss": "window", "loss_options": {"width": 1e300}}, "from 0.01 to 0.5"),
        ({"replica": 64}, "replica is 64; it must be a whole number from 0 to 63"),
        ({"replica": -1}, "replica"),
        ({"replica": 1.0}, "replica"),
        ({"replica": True}, "replica"),
        ({"epochs": 0}, "epochs"),
        ({"epochs": 21}, "epochs"),
        ({"lr": -1}, "lr"),
        ({"lr": 0.2}, "lr"),
        ({"base": "student-1"}, "must be a Student"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_bad_arguments_are_refused_with_their_name_and_nothing_is_trained(
    lab: Lab, served: Served, arguments: dict[str, Any], reason: str
) -> None:
    with pytest.raises(LabError, match=reason):
        lab.fine_tune(**{"targets": UNIFORM, **arguments})
    assert served.backend.requests == []
    assert lab.budget == {"fits": 3, "programs": 1}


def test_a_head_arrives_as_it_was_asked_for(lab: Lab, served: Served) -> None:
    assert lab.head([0.5, -1], bias=2).predict([0]).shape == (1, 2)
    assert served.backend.heads == [([0.5, -1.0], 2.0)]


@pytest.mark.parametrize(
    ("body", "weight", "reason"),
    [
        ({}, np.ones((2, 2), np.float32), "shape (d,)"),
        ({}, np.ones(2, np.float64), "shape (d,)"),
        ({}, np.ones(0, np.float32), "shape (d,)"),
        ({}, np.ones(2**16 + 1, np.float32), "shape (d,)"),
        ({}, np.array([1, np.nan], np.float32), "finite"),
        ({}, np.array([1, 1e5], np.float32), "beyond ±10000"),
        ({"bias": "1"}, np.ones(2, np.float32), "bias is '1'"),
        ({"bias": 1e9}, np.ones(2, np.float32), "bias is 1000000000.0"),
        ({"bias": True}, np.ones(2, np.float32), "bias is True"),
        ({"layer": 3}, np.ones(2, np.float32), "unknown arguments: 'layer'"),
    ],
)
def test_another_head_is_refused_by_name(served: Served, body: dict[str, Any], weight: np.ndarray, reason: str) -> None:
    assert reason in served.refusal({"call": "head", **body}, weight=weight)
    assert served.backend.heads == []


def test_an_average_arrives_as_it_was_asked_for_and_is_a_student_of_the_run(lab: Lab, served: Served) -> None:
    students = [lab.fine_tune(UNIFORM) for _ in range(3)]
    mean = lab.average(students)
    lab.average([mean, students[0]], weights=[3, 1])
    assert served.backend.averages == [
        (("student-1", "student-2", "student-3"), (1 / 3, 1 / 3, 1 / 3)),
        (("student-4", "student-1"), (0.75, 0.25)),
    ]
    assert mean.predict([0]).shape == (1, 2) and lab.budget == {"fits": 0, "programs": 1}


@pytest.mark.parametrize(
    ("body", "arrays", "reason"),
    [
        ({}, {}, "from 2 to 64 students"),
        ({"students": "student-1"}, {}, "from 2 to 64 students"),
        ({"students": ["student-1"]}, {}, "from 2 to 64 students"),
        ({"students": ["student-1"] * 65}, {}, "from 2 to 64 students"),
        ({"students": ["student-1", 2]}, {}, "as fine_tune returns them"),
        ({"students": ["student-1", "student-9"]}, {}, "no student 'student-9'"),
        ({"students": ["student-1"] * 2}, {"weights": np.ones(3)}, "weights have"),
        ({"students": ["student-1"] * 2}, {"weights": np.zeros(2)}, "not all 0"),
        ({"students": ["student-1"] * 2}, {"weights": np.array([1, np.nan])}, "NaN"),
        ({"students": ["student-1"] * 2}, {"weights": np.array([-1.0, 2])}, "negative"),
        ({"students": ["student-1"] * 2, "shares": [1]}, {}, "unknown arguments: 'shares'"),
    ],
)
def test_an_average_of_anything_else_is_refused_by_name(
    lab: Lab, served: Served, body: dict[str, Any], arrays: dict[str, np.ndarray], reason: str
) -> None:
    lab.fine_tune(UNIFORM)
    assert reason in served.refusal({"call": "average", **body}, **arrays)
    assert served.backend.averages == []


def test_the_number_of_averages_is_bounded(lab: Lab) -> None:
    student = lab.fine_tune(UNIFORM)
    for _ in range(broker_module.CALLS["average"]):
        lab.average([student, student])
    with pytest.raises(LabError, match="budget of average calls is spent"):
        lab.average([student, student])


def test_the_budget_of_fits_ends(lab: Lab) -> None:
    for _ in range(3):
        lab.fine_tune(UNIFORM)
    with pytest.raises(LabError, match="budget of fine_tune calls is spent"):
        lab.fine_tune(UNIFORM)


def test_the_number_of_calls_is_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(broker_module.CALLS["zero_shot"]):
        assert "error" not in served.ask({"call": "zero_shot", "template": None}).body
    assert "budget of zero_shot calls is spent" in served.refusal({"call": "zero_shot", "template": None})
    assert "error" not in served.ask({"call": "embed"}).body


def test_a_sandbox_that_only_asks_nonsense_is_hung_up_on(served: Served) -> None:
    for _ in range(broker_module.MAX_REFUSALS):
        assert "unknown call" in served.refusal({"call": "open_the_door"})
    assert wire.receive(served.connection) is None


def test_the_source_of_the_method_is_sent_once(served: Served) -> None:
    assert served.ask({"call": "method"}).arrays["method"].tobytes() == b"source"
    assert "budget of method calls is spent" in served.refusal({"call": "method"})


def test_a_training_program_arrives_as_it_was_asked_for_and_is_paid_for(lab: Lab, served: Served) -> None:
    student = lab.train("print(1)", arrays={"targets": UNIFORM}, ranks=2)
    (call,) = served.backend.programs
    assert (call.source, call.ranks, list(call.arrays)) == (b"print(1)", 2, ["targets"])
    assert student.predict([0]).shape == (1, 2)
    with pytest.raises(LabError, match="budget of train calls is spent"):
        lab.train("print(1)")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"program": ""}, "needs a program"),
        ({"program": "#" * (2**18 + 1)}, "at most"),
        ({"ranks": 3}, "from 1 to 2"),
        ({"ranks": 0}, "from 1 to 2"),
        ({"arrays": {"../x": UNIFORM}}, "cannot name an array"),
        ({"arrays": {f"a{number}": UNIFORM for number in range(9)}}, "at most"),
    ],
)
def test_a_training_program_that_cannot_be_run_costs_nothing(lab: Lab, arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises((LabError, WireError), match=reason):
        lab.train(**{"program": "print(1)", **arguments})
    assert lab.budget["programs"] == 1


def test_students_of_other_runs_are_refused(lab: Lab) -> None:
    with pytest.raises(LabError, match="no student"):
        Student(lab, "student-1").predict()
    with pytest.raises(LabError, match="no student"):
        lab.fine_tune(UNIFORM, base=Student(lab, "student-1"))


def test_refusals_of_the_platform_reach_the_method(lab: Lab, served: Served) -> None:
    with pytest.raises(LabError, match="4 layers"):
        lab.embed(9)
    served.backend.failure = TrainingError("out of memory")
    with pytest.raises(LabError, match="out of memory"):
        lab.fine_tune(UNIFORM)
    assert not served.ended.is_set()


@pytest.mark.parametrize("fault", [ConnectionResetError("node lost"), KeyError("bug"), KeyboardInterrupt()])
def test_faults_of_the_platform_end_the_run_and_are_kept(served: Served, fault: BaseException) -> None:
    served.backend.failure = fault
    wire.send(served.connection, wire.Frame({"call": "fine_tune"}, {"targets": UNIFORM}))
    assert served.ended.wait(5)
    assert served.broker.fault is fault
    assert wire.receive(served.connection) is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"call": "eval", "code": "1"},
        {"call": None},
        {"call": ["describe"]},
        {"call": "embed", "layer": "1"},
        {"call": "embed", "layer": True},
        {"call": "embed", "layer": 10**9},
        {"call": "embed", "layer": 1.5},
        {"call": "embed", "layer": -0.5},
        {"call": "embed", "layer": 0.0},
        {"call": "embed", "layer": []},
        {"call": "embed", "layer": [1] * 65},
        {"call": "embed", "layer": [1, [2]]},
        {"call": "embed", "layer": [1, "2"]},
        {"call": "embed", "layer": 1, "pool": "max"},
        {"call": "embed", "layer": 1, "pool": ["mean"]},
        {"call": "embed", "layer": 1, "pool": None},
        {"call": "zero_shot", "template": 3},
        {"call": "zero_shot", "labels": " yes"},
        {"call": "zero_shot", "labels": [" yes"]},
        {"call": "zero_shot", "labels": [" yes", " yes"]},
        {"call": "zero_shot", "labels": ["", " yes"]},
        {"call": "zero_shot", "labels": [1, 2]},
        {"call": "zero_shot", "labels": [" yes", "x" * 41]},
        {"call": "zero_shot", "labels": [" yes", "\ud800"]},
        {"call": "zero_shot", "labels": {"0": " no", "1": " yes"}},
        {"call": "zero_shot", "template": "x" * 5000},
        {"call": "zero_shot", "template": "\ud800"},
        {"call": "zero_shot", "file": "/etc/passwd"},
        {"call": "predict"},
        {"call": "predict", "student": {"id": 1}},
        {"call": "fine_tune", "epochs": True},
    ],
)
def test_strange_calls_are_answered_with_an_error_and_survived(served: Served, body: dict[str, Any]) -> None:
    assert served.refusal(body)
    assert served.ask({"call": "describe"}).body["seed"] == 7


@pytest.mark.parametrize("dtype", ["float32", "float64", "bool"])
def test_row_numbers_of_another_dtype_are_refused(served: Served, dtype: str) -> None:
    student = served.ask({"call": "fine_tune"}, targets=UNIFORM).body["student"]
    assert "row numbers" in served.refusal({"call": "predict", "student": student}, rows=np.ones(2, dtype))


def test_a_malformed_frame_is_answered_and_survived(served: Served) -> None:
    served.connection.sendall(struct.pack(">I", 4) + b"\xff\xff\xff\xff")
    assert "header" in served.answer().body["error"]
    assert served.ask({"call": "describe"}).body["seed"] == 7


def test_an_oversized_frame_is_answered_and_the_connection_closed(served: Served) -> None:
    served.connection.sendall(struct.pack(">I", 2**31))
    assert "at most" in served.answer().body["error"]
    assert wire.receive(served.connection) is None
    assert served.broker.student is None


def test_a_frame_that_never_ends_does_not_hold_up_the_run(served: Served) -> None:
    served.connection.sendall(struct.pack(">I", 1000) + b"abc")
    served.close()
    assert served.broker.error is None


def test_a_returned_student_ends_the_run(served: Served, lab: Lab) -> None:
    student = lab.fine_tune(UNIFORM)
    wire.send(served.connection, wire.Frame({"call": "finish", "student": student.id}))
    assert served.ended.wait(5)
    assert (served.broker.student, served.broker.error) == (student.id, None)


@pytest.mark.parametrize("student", ["student-9", "", None, 3, ["student-1"]])
def test_a_student_that_the_run_did_not_train_is_no_result(served: Served, lab: Lab, student: Any) -> None:
    lab.fine_tune(UNIFORM)
    wire.send(served.connection, wire.Frame({"call": "finish", "student": student}))
    assert served.ended.wait(5)
    assert served.broker.student is None
    assert "did not train" in str(served.broker.error)


def test_text_from_a_sandbox_is_made_harmless() -> None:
    assert printable("a\x1b[31m\0\u202e\ud800ö\n\t") == "a?[31m???ö\n\t"
    assert len(printable("x" * 100_000)) < 9000
