"""The interface for method code: `Lab`, its models and data, and `Student`, a handle to a fine-tuned model.

Weights stay on the platform; a student is only a name. Every call goes over a socket to the broker, which checks and
answers it. Refused calls raise LabError.
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
    """A fine-tuned strong model, made by `Lab.fine_tune` or `Lab.train`. `id` is its name on the platform."""

    def __init__(self, lab: "Lab", id: str) -> None:
        self.id = id
        self._lab = lab

    def __repr__(self) -> str:
        return f"Student({self.id!r})"

    def predict(self, rows: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """Return (m, 2) probabilities for the training texts with row numbers `rows`, by default for all of them.

        Raises:
            LabError: a row number is out of range, or the platform could not compute the prediction.
        """
        arrays = {} if rows is None else {"rows": _integers(rows)}
        return self._lab._call("predict", {"student": self.id}, arrays).arrays["answer"]

    def predict_test(self) -> np.ndarray:
        """Return (m, 2) probabilities for `lab.test_examples`. Raises LabError when test inputs are hidden."""
        return self._lab._call("predict_test", {"student": self.id}).arrays["answer"]


class Lab:
    """The models and data of one run of `supervise(lab)`.

    Attributes:
        kind: "preference" (is `second` better than `first`?) or "binary" (is `choice` true?).
        examples: the n training examples, without labels: {"prompt", "first", "second"} or {"question", "choice"}.
        weak_labels: (n, 2) float32, the teacher's probabilities for label 0 and label 1.
        seed: the run's seed. The same seed and code should give the same student.
        recipe: the problem's training settings, by which vanilla and the ceiling are trained: form, lora_rank,
            last_layers (None: all), lr, head_lr_factor, epochs, batch_size, warmup, max_tokens.
        budget: what this run may still train, for example {"fits": 8, "programs": 2}.
        test_examples: in the predictions protocol, the m inputs to predict; supervise(lab) may then also return (m,)
            labels or (m, 2) probabilities. Empty otherwise: test inputs are hidden.
    """

    kind: str
    examples: list[dict[str, str]]
    weak_labels: np.ndarray
    seed: int
    recipe: dict[str, Any]
    budget: dict[str, int]
    test_examples: list[dict[str, str]]

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._turn = threading.Lock()
        described = self._call("describe", {})
        self.kind = described.body["kind"]
        self.examples = described.body["examples"]
        self.seed = described.body["seed"]
        self.recipe = described.body["recipe"]
        self.test_examples = described.body["test_examples"]
        self.weak_labels = described.arrays["weak_labels"]

    def zero_shot(self, template: str | None = None, labels: tuple[str, str] | None = None) -> np.ndarray:
        """Return (n, 2) probabilities: the strong model's own beliefs before any training.

        Args:
            template: a prompt, with {prompt}, {first} and {second} or {question} and {choice} as placeholders. The
                label is read off the next token: " A" or " B" for preferences, " False" or " True" for binary
                questions. None: preferences are judged by the likelihood of both texts, questions by a usual prompt.
            labels: the words of label 0 and label 1 in place of these, such as (" no", " yes"); at most 40 characters
                each. They count by their first tokens, which must differ. The space before a word belongs to it.

        Raises:
            LabError: the template or a label is not valid, or the run's calls of zero_shot and embed together would
                exceed its input budget: 100 x (the characters of the training texts + 200 for each text).
        """
        words = None if labels is None else list(labels)
        return self._call("zero_shot", {"template": template, "labels": words}).arrays["answer"]

    def embed(self, layer: float | Sequence[float] = -1, pool: str = "mean") -> np.ndarray:
        """Return (n, k, d) hidden states of the strong model for the candidate texts.

        k is 2 for preferences (first, second) and 1 for binary questions. The limit on characters that the model reads
        is shared with `zero_shot`; several layers in one call are read once.

        Args:
            layer: the number of a layer. Negative ones count from the last; a fraction between 0 and 1 is a share of
                the model's depth, so that 0.5 is the middle of any model. A list of m layers, at most 64, gives
                (n, k, m, d).
            pool: "mean" over the text's tokens, or the state at its "last" token.

        Raises:
            LabError: the model has no such layer, an argument is not valid, or the answer has more than 256 MiB.
        """
        layers = [_layer(one) for one in layer] if isinstance(layer, Sequence | np.ndarray) else _layer(layer)
        return self._call("embed", {"layer": layers, "pool": pool}).arrays["answer"]

    def fine_tune(
        self,
        targets: ArrayLike,
        weights: ArrayLike | None = None,
        order: ArrayLike | None = None,
        loss: str = "xent",
        loss_options: Mapping[str, float] | None = None,
        epochs: float | None = None,
        lr: float | None = None,
        base: Student | None = None,
        replica: int = 0,
    ) -> Student:
        """Fine-tune the strong model on the training texts.

        A fit visits epochs times the length of `order` rows, not counting rows of weight 0. It may visit at most 10
        times as many rows as the problem's recipe does on all n texts, or 2,000 if that is more.

        Args:
            targets: (n, 2) probabilities, or (n,) labels 0 and 1.
            weights: (n,) weights, none negative; 0 leaves the example out. None: all 1.
            order: (m,) row numbers in the order in which an epoch visits them; rows may be left out or repeated.
                None: all rows, shuffled by the seed, in a new order for each epoch.
            loss: "xent" (cross-entropy against the target w), or one of these; p is the student's probability:
                "logconf": xent mixed with that against the student's own hardened answer, by up to `weight` 0.5, which
                    it reaches after the share `warmup` 0.2 of training.
                "product": the target is p^beta * w^alpha, renormalised; `alpha` 1, `beta` 1. Needs soft targets.
                "reverse_ce", "reverse_kl": cross-entropy and KL divergence of w under p, with log-odds of w cut at
                    `clip` 5. A student that is sure already hardly moves.
                "gce": (1 - p_target^q) / q with `q` 0.7; wrong labels pull less than in xent.
                "entropy": (1 - weight) * xent + weight * entropy of p; `weight` 0.1.
                "window": xent on those rows alone where the student is unsure, |p - 0.5| < `width` 0.15.
                "adaptconf": KL(w || p) mixed with xent against the student's own answer, more of it where the student
                    doubts that answer; `temperature` 1.
            loss_options: other values of the loss's options, such as {"q": 0.5}.
            epochs, lr: None takes the value of the problem's recipe.
            base: a student to continue from. None: the pretrained strong model.
            replica: 0 to 63, which of the run's random starts and orders of rows. Two fits that differ in nothing are
                one student; for an ensemble give each its own replica.

        Raises:
            LabError: an argument is not valid, the fit would visit too many rows, the run's budget of fits is spent,
                or training failed.
        """
        arrays = {"targets": np.asarray(targets, np.float32)}
        if weights is not None:
            arrays["weights"] = np.asarray(weights, np.float32)
        if order is not None:
            arrays["order"] = _integers(order)
        if base is not None and not isinstance(base, Student):
            raise LabError(f"base must be a Student, not {type(base).__name__}")
        settings = {
            "loss": loss,
            "loss_options": {name: _number(value) for name, value in (loss_options or {}).items()},
            "epochs": _number(epochs),
            "lr": _number(lr),
            "base": base.id if base else None,
            "replica": replica,
        }
        return Student(self, self._call("fine_tune", settings, arrays).body["student"])

    def head(self, weight: ArrayLike, bias: float = 0.0) -> Student:
        """Return the untrained strong model with a linear head of yours as a student. It costs no fit.

        The score of a text is its final hidden state at the last token, `lab.embed(-1, pool="last")`, times `weight`
        plus `bias`: the log-odds of a binary text, and for a preference the score of `second` minus that of `first`.

        Args:
            weight: (d,), finite, between -10,000 and 10,000.

        Raises:
            LabError: an argument is not valid, the problem's form is not "scalar_head", or this was called 32 times.
        """
        arrays = {"weight": np.asarray(weight, np.float32)}
        return Student(self, self._call("head", {"bias": float(bias)}, arrays).body["student"])

    def average(self, students: Sequence[Student], weights: ArrayLike | None = None) -> Student:
        """Return the student whose weights are the mean of these students' weights. It costs no fit.

        Students of one start lie close enough to each other for that: those with the same `replica`, and their
        continuations by `base`. Let them differ by `order`, targets, weights of rows or loss.

        Args:
            students: from 2 to 64 students of this run.
            weights: (m,) how much each counts, none negative. None: all the same.

        Raises:
            LabError: an argument is not valid, the students have different starts, or this was called 32 times.

        Source: Wortsman et al. 2022, "Model soups", arXiv 2203.05482; Rame et al. 2024, "WARM", arXiv 2401.12187.
        """
        if not all(isinstance(student, Student) for student in students):
            raise LabError("average needs students, as fine_tune returns them")
        arrays = {} if weights is None else {"weights": np.asarray(weights, np.float32)}
        answer = self._call("average", {"students": [student.id for student in students]}, arrays)
        return Student(self, answer.body["student"])

    def train(self, program: str, *, arrays: Mapping[str, ArrayLike] | None = None, ranks: int = 1) -> Student:
        """Train a student with a program of your own: a Python file that uses torch and transformers, in a sandbox.

        `aar.guest.training_task` documents the program's inputs and shows a complete program. The program writes LoRA
        weights, which the platform checks before they become a student.

        Args:
            program: the source of the program.
            arrays: arrays to pass to it by name, such as targets that were computed here; at most seven.
            ranks: the number of processes that run it; they find each other as torch.distributed expects.

        Raises:
            LabError: the program failed, was killed, or wrote no adapter that fits the strong model. The message ends
                with its last output.
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
    """Wait for a method to run in this sandbox, and return its source."""
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


def _layer(value: float) -> float:
    return float(value) if isinstance(value, float) else int(value)


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _integers(values: ArrayLike) -> np.ndarray:
    """Return row numbers as int64. Floats are refused, because converting them could change them silently."""
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise LabError(f"row numbers must be integers, not {array.dtype}")
    return array.astype(np.int64)
