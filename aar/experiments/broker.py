"""The broker: answers one sandbox's lab calls on the trusted side, and nothing else.

Covers: a fixed list of calls; checked and bounded arguments; a budget for each kind of call; students of other runs;
frames that are malformed, oversized or cut short. The broker answers a bad call with an error and continues; where the
stream cannot be read any further, it hangs up.
Does not cover: who is at the other end of the connection (see `aar.sandbox.pool`), a sandbox that keeps the broker busy
with valid calls (the budgets and its limit on wall time end that), and what the backend does with a valid request.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np

from aar.errors import LabError, TrainingError, WireError
from aar.experiments import validation
from aar.experiments.validation import FineTuneCall, TrainCall
from aar.guest import wire
from aar.models.recipe import Pooling, Recipe

__all__ = ["Broker", "FineTuneCall", "LabBackend", "RunInfo", "TrainCall"]

Answer = TypeVar("Answer")

CALLS = {
    "method": 1,
    "describe": 10,
    "zero_shot": 100,
    "embed": 100,
    "head": 32,
    "average": 32,
    "predict": 1000,
    "predict_test": 100,
}
"""The number of calls of each kind that a run may make. For those that train a student see `RunBudget`."""
MAX_REFUSALS = 1000
MAX_REQUEST_HEADER = 64 * 2**10
REQUEST_BYTES_PER_EXAMPLE = 1024  # five times what a full request needs, so that the excess is named
MAX_ERROR_TEXT = 8000


@dataclass(frozen=True)
class RunBudget:
    """The training that one run may do: `fits` by fine_tune, `programs` by train, each with at most `ranks` ranks."""

    fits: int
    programs: int = 0
    ranks: int = 1


@dataclass(frozen=True)
class RunInfo:
    """The data that a method gets at its start: `examples` without labels, `weak_labels` (n, 2), one row per example.

    test_examples: the inputs to predict, in the predictions protocol; empty where they are hidden.
    """

    kind: str
    examples: list[dict[str, str]]
    weak_labels: np.ndarray
    seed: int
    recipe: Recipe
    test_examples: list[dict[str, str]] = field(default_factory=list)


class LabBackend(Protocol):
    """Computes the answers. Calls may take minutes; LabError and TrainingError become errors in method code.

    Any other error is a fault of the platform: it ends the run, and is not the method's result.
    """

    def describe(self) -> RunInfo: ...

    def zero_shot(self, template: str | None, labels: tuple[str, str] | None) -> np.ndarray:
        """Return (n, 2) probabilities."""
        ...

    def embed(self, layer: float | tuple[float, ...], pool: Pooling) -> np.ndarray:
        """Return (n, k, d) hidden states, or (n, k, m, d) of m layers."""
        ...

    def fine_tune(self, request: FineTuneCall) -> str:
        """Return the id of the new student."""
        ...

    def head(self, weight: np.ndarray, bias: float) -> str:
        """Return the id of a student that reads its score off the untrained model by this (d,) head."""
        ...

    def average(self, students: tuple[str, ...], shares: tuple[float, ...]) -> str:
        """Return the id of the weighted mean of students of this run."""
        ...

    def train(self, call: TrainCall) -> str:
        """Return the id of the student that a training program made."""
        ...

    def predict(self, student: str, rows: np.ndarray | None) -> np.ndarray:
        """Return (m, 2) probabilities for rows of the training texts."""
        ...

    def predict_test(self, student: str) -> np.ndarray:
        """Return (m, 2) probabilities for the test examples of `describe`."""
        ...


class _PlatformFault(Exception):
    """A backend call failed, and the method is not the cause; `Broker.fault` has the error."""


class Broker:
    """Serves one connection, in a thread of its own, until the method has finished or the socket closes.

    Attributes:
        student: the id that the method returned, once it has.
        predictions: what it returned instead, where test examples are shown: numbers of any shape, not checked.
        error: what went wrong in the method, as the sandbox reports it, once it has.
        fault: an error of a backend call that the method did not cause.
    """

    def __init__(
        self,
        source: bytes,
        backend: LabBackend,
        connection: socket.socket,
        run_budget: RunBudget,
        on_end: Callable[[], None],
    ) -> None:
        """source: the method that the sandbox is to run. on_end: called once student, error or fault is known.

        Raises:
            Exception: any error of `backend.describe`.
        """
        self.student: str | None = None
        self.predictions: np.ndarray | None = None
        self.error: str | None = None
        self.fault: BaseException | None = None
        self._source, self._backend, self._connection, self._on_end = source, backend, connection, on_end
        self._described = backend.describe()
        self._n = len(self._described.examples)
        self._left = {**CALLS, "fine_tune": run_budget.fits, "train": run_budget.programs}
        self._most_ranks = run_budget.ranks
        self._refusals_left = MAX_REFUSALS
        self._students: set[str] = set()
        self._in_call = False
        self._thread = threading.Thread(target=self._serve, name="lab-broker", daemon=True)

    def start(self) -> None:
        """Start to serve."""
        self._thread.start()

    def join(self) -> None:
        """Wait until all frames that the dead sandbox sent are read, but not for a backend call in progress."""
        with contextlib.suppress(OSError):  # the other end may still be open, inside a message that is on its way to us
            self._connection.shutdown(socket.SHUT_RDWR)
        while self._thread.is_alive() and not self._in_call:
            self._thread.join(0.02)

    def _serve(self) -> None:
        # The sandbox may close its end at any moment; how it ended is read from its outcome.
        with contextlib.suppress(OSError, _PlatformFault):
            self._converse(self._connection)
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        if self._ended or self.fault:
            self._on_end()

    @property
    def _ended(self) -> bool:
        """True if the method has reported its end."""
        return bool(self.student or self.error) or self.predictions is not None

    def _converse(self, connection: socket.socket) -> None:
        rows = self._n + len(self._described.test_examples)
        maximum = MAX_REQUEST_HEADER + wire.LENGTH.size + 2 * validation.MAX_PROGRAM + REQUEST_BYTES_PER_EXAMPLE * rows
        while self._refusals_left and not self._ended:
            try:
                payload = wire.receive(connection, maximum)
            except WireError as refusal:  # where the next frame begins is unknown
                wire.send(connection, _refused(refusal))
                return
            if payload is None:
                return
            try:
                wire.send(connection, self._answer(payload))
            except WireError as refusal:  # the answer is too large
                wire.send(connection, _refused(refusal))

    def _answer(self, payload: bytearray) -> wire.Frame:
        try:
            frame = wire.decode(payload, MAX_REQUEST_HEADER)
            if frame.body.get("call") == "finish":
                self._finish(frame)
                return wire.Frame({})
            body, arrays = self._dispatch(frame)
            return wire.Frame({**body, "budget": self._budget()}, arrays)
        except (WireError, LabError, TrainingError) as refusal:
            self._refusals_left -= 1
            return _refused(refusal)

    def _budget(self) -> dict[str, int]:
        return {"fits": self._left["fine_tune"], "programs": self._left["train"]}

    def _spend(self, call: str) -> None:
        if self._left[call] == 0:
            raise LabError(f"the run's budget of {call} calls is spent; make fewer of them in one run")
        self._left[call] -= 1

    def _dispatch(self, frame: wire.Frame) -> tuple[dict[str, object], dict[str, np.ndarray]]:
        """Answer one well-formed frame with JSON values and arrays."""
        backend, described = self._backend, self._described
        match frame.body.get("call"):
            case "method":
                self._spend("method")
                return {}, {"method": np.frombuffer(self._source, np.uint8)}
            case "describe":
                self._spend("describe")
                body: dict[str, object] = {
                    "kind": described.kind, "examples": described.examples, "seed": described.seed,
                    "recipe": described.recipe.model_dump(), "test_examples": described.test_examples,
                }  # fmt: skip
                return body, {"weak_labels": np.asarray(described.weak_labels, np.float32)}
            case "zero_shot":
                template, labels = validation.zero_shot_call(frame)
                return {}, _array(self._compute("zero_shot", lambda: backend.zero_shot(template, labels)))
            case "embed":
                layer, pool = validation.embed_call(frame)
                return {}, _array(self._compute("embed", lambda: backend.embed(layer, pool)))
            case "fine_tune":
                request = validation.fine_tune_call(frame, self._n)
                if request.base is not None:
                    self._check_own(request.base)
                return self._new_student("fine_tune", lambda: backend.fine_tune(request)), {}
            case "head":
                weight, bias = validation.head_call(frame)
                return self._new_student("head", lambda: backend.head(weight, bias)), {}
            case "average":
                students, shares = validation.average_call(frame)
                for each in students:
                    self._check_own(each)
                return self._new_student("average", lambda: backend.average(students, shares)), {}
            case "train":
                program = validation.train_call(frame, self._most_ranks)
                return self._new_student("train", lambda: backend.train(program)), {}
            case "predict":
                student, rows = validation.prediction(frame, self._n)
                self._check_own(student)
                return {}, _array(self._compute("predict", lambda: backend.predict(student, rows)))
            case "predict_test" if described.test_examples:
                student, _ = validation.prediction(frame, self._n)
                self._check_own(student)
                return {}, _array(self._compute("predict_test", lambda: backend.predict_test(student)))
            case "predict_test":
                raise LabError("test inputs are not shown in this protocol")
        raise LabError(
            "unknown call; the lab answers describe, zero_shot, embed, fine_tune, head, average, train and predict"
        )

    def _new_student(self, call: str, make: Callable[[], str]) -> dict[str, object]:
        student = self._compute(call, make)
        self._students.add(student)
        return {"student": student}

    def _check_own(self, student: str) -> None:
        if student not in self._students:
            raise LabError(f"this run has no student {student[:80]!r}")

    def _finish(self, frame: wire.Frame) -> None:
        student, error = frame.body.get("student"), frame.body.get("error")
        if isinstance(error, str) and error:
            self.error = printable(error)
        elif isinstance(student, str) and student in self._students:
            self.student = student
        elif self._described.test_examples and "predictions" in frame.arrays:
            self.predictions = frame.arrays["predictions"]
        else:
            self.error = "supervise(lab) returned a student that this run did not train"

    def _compute(self, call: str, compute: Callable[[], Answer]) -> Answer:
        """Charge a checked call to the budget, and return the backend's answer."""
        self._spend(call)
        self._in_call = True
        try:
            return compute()
        except (LabError, TrainingError):
            raise
        # Any other error is the platform's: it must get from this thread to the caller of the run unchanged.
        except BaseException as fault:
            self.fault = fault
            raise _PlatformFault from fault
        finally:
            self._in_call = False


def printable(text: str) -> str:
    """Return a sandbox's text, shortened, without characters that could harm a terminal or a database."""
    clean = "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text[:MAX_ERROR_TEXT])
    return clean if len(text) <= MAX_ERROR_TEXT else f"{clean} ... (cut)"


def _refused(refusal: Exception) -> wire.Frame:
    return wire.Frame({"error": printable(str(refusal))})


def _array(answer: np.ndarray) -> dict[str, np.ndarray]:
    return {"answer": np.asarray(answer, np.float32)}
