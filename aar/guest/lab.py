"""What method code sees: `Lab`, the models it may use, and `Student`, a handle on a model that was fine-tuned.

Weights stay on the platform; a student is a name. Every call travels over the socket to the broker, which checks it and
answers; what it refuses is raised here as LabError.
"""

import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from aar.guest import wire
from aar.guest.errors import LabError


class Student:
    """A strong model that `Lab.fine_tune` trained. `id` is its name on the platform."""

    def __init__(self, lab: "Lab", id: str) -> None:
        self.id = id
        self._lab = lab

    def __repr__(self) -> str:
        return f"Student({self.id!r})"

    def predict(self, rows: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """(m, 2) probabilities for the training texts with numbers `rows`, or for all of them.

        Raises:
            LabError: a row number is out of range, or the platform could not compute it.
        """
        arrays = {} if rows is None else {"rows": _integers(rows)}
        return self._lab._call("predict", {"student": self.id}, arrays).arrays["answer"]

    def predict_test(self) -> np.ndarray:
        """(m, 2) probabilities for `lab.test_examples`. Raises LabError where these are not shown."""
        return self._lab._call("predict_test", {"student": self.id}).arrays["answer"]


class Lab:
    """The models and data of one run of `supervise(lab)`.

    Attributes:
        kind: "preference" (is `second` better than `first`?) or "binary" (is `choice` true?).
        examples: the n training texts, without labels: {"prompt", "first", "second"} or {"question", "choice"}.
        weak_labels: (n, 2) float32, the teacher's probabilities for label 0 and label 1.
        seed: the run's seed; the same seed and code should give the same student.
        budget: what is left for this run, for example {"fits": 8, "programs": 2}.
        test_examples: in the predictions protocol the m inputs to predict; then supervise(lab) may also return (m,)
            labels or (m, 2) probabilities. Otherwise empty: test inputs are not shown.
    """

    kind: str
    examples: list[dict[str, str]]
    weak_labels: np.ndarray
    seed: int
    budget: dict[str, int]
    test_examples: list[dict[str, str]]

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._turn = threading.Lock()
        described = self._call("describe", {})
        self.kind = described.body["kind"]
        self.examples = described.body["examples"]
        self.seed = described.body["seed"]
        self.test_examples = described.body["test_examples"]
        self.weak_labels = described.arrays["weak_labels"]

    def zero_shot(self, template: str | None = None) -> np.ndarray:
        """(n, 2) probabilities: what the strong model believes before any training, asked with `template` if given.

        Raises:
            LabError: this and earlier calls of zero_shot and embed would have the model read more than 100 times as
                many characters as the training texts have, each text counted with 200 more.
        """
        return self._call("zero_shot", {"template": template}).arrays["answer"]

    def embed(self, layer: int = -1) -> np.ndarray:
        """(n, k, d) hidden states of the strong model after `layer`, averaged over the tokens of each candidate text.

        k is 2 for preferences (first, second) and 1 for binary questions. Negative layers count from the last. The
        characters that the model reads for it are limited together with those of `zero_shot`.
        """
        return self._call("embed", {"layer": int(layer)}).arrays["answer"]

    def fine_tune(
        self,
        targets: ArrayLike,
        weights: ArrayLike | None = None,
        order: ArrayLike | None = None,
        loss: str = "xent",
        epochs: float | None = None,
        lr: float | None = None,
        base: Student | None = None,
    ) -> Student:
        """Fine-tune the strong model on the training texts.

        It may visit at most 10 times as many rows, epochs times the length of `order`, as the problem's recipe does on
        all n of them, or 2,000 if that is more. Rows whose weight is 0 are not visited.

        Args:
            targets: (n, 2) probabilities, or (n,) labels 0 and 1.
            weights: (n,) not negative; 0 leaves the example out. None: all 1.
            order: (m,) row numbers, the visiting order of one epoch, which may omit and repeat rows. None: shuffled by
                the seed, anew each epoch.
            loss: "xent", or "logconf" (cross-entropy with an auxiliary confidence term).
            epochs, lr: None takes the problem's recipe.
            base: a student to go on from. None: the strong model as it was pretrained.

        Raises:
            LabError: an argument cannot be used, the fit would visit too many rows, the budget of fits is spent, or
                training failed.
        """
        arrays = {"targets": np.asarray(targets, np.float32)}
        if weights is not None:
            arrays["weights"] = np.asarray(weights, np.float32)
        if order is not None:
            arrays["order"] = _integers(order)
        if base is not None and not isinstance(base, Student):
            raise LabError(f"base must be a Student, not {type(base).__name__}")
        settings = {"loss": loss, "epochs": _number(epochs), "lr": _number(lr), "base": base.id if base else None}
        return Student(self, self._call("fine_tune", settings, arrays).body["student"])

    def train(self, program: str, *, arrays: Mapping[str, ArrayLike] | None = None, ranks: int = 1) -> Student:
        """Train a student with a program of your own: a Python file with torch and transformers, in a sandbox.

        See `aar.guest.training_task` for what it is given, and for a whole one. It hands back LoRA weights, which the
        platform checks before they become a student.

        Args:
            program: its source.
            arrays: numbers for it, by name, such as targets that were computed here; at most seven.
            ranks: how many processes to run it in, which find each other as torch.distributed expects.

        Raises:
            LabError: it failed, was killed, or handed back no adapter that fits the strong model; with its last output.
        """
        sent = {name: np.asarray(array) for name, array in (arrays or {}).items()}
        source = np.frombuffer(program.encode(), np.uint8)
        return Student(self, self._call("train", {"ranks": int(ranks)}, {**sent, "program": source}).body["student"])

    def _call(self, name: str, arguments: dict[str, Any], arrays: dict[str, np.ndarray] | None = None) -> wire.Frame:
        with self._turn:
            answer = _exchange(self._connection, wire.Frame({"call": name, **arguments}, arrays or {}))
        self.budget = answer.body["budget"]
        return answer


def receive_method(connection: socket.socket) -> bytes:
    """The source of the method that this sandbox is to run. Waits until there is one."""
    return _exchange(connection, wire.Frame({"call": "method"})).arrays["method"].tobytes()


def _exchange(connection: socket.socket, call: wire.Frame) -> wire.Frame:
    wire.send(connection, call)
    payload = wire.receive(connection)
    if payload is None:
        raise LabError("the lab has closed the connection")
    answer = wire.decode(payload)
    if "error" in answer.body:
        raise LabError(answer.body["error"])
    return answer


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _integers(values: ArrayLike) -> np.ndarray:
    """Row numbers as int64; floats are refused here, since converting them would change them silently."""
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise LabError(f"row numbers must be integers, not {array.dtype}")
    return array.astype(np.int64)
