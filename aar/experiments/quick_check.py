"""Quick checks: run a method on a small slice of the training texts, with the real models, to see if it works.

The report lists the method's calls with their times, its output and its failure, and nothing that could be taken for a
score. It includes the agreement with the weak labels, which says nothing about the truth.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np

from aar.errors import MethodError
from aar.experiments.broker import LabBackend, RunBudget, RunInfo
from aar.experiments.method_sandbox import run_method
from aar.experiments.validation import FineTuneCall, TrainCall
from aar.models.recipe import Pooling
from aar.sandbox.pool import Pool
from aar.scoring.records import TrainingData

SLICE_EXAMPLES = 32
SLICE_EPOCHS = 1.0
PRINTED_CHARACTERS = 3000

Answer = TypeVar("Answer")


def slice_of(task: TrainingData) -> TrainingData:
    """Return a task's first examples, with a recipe that trains on them once."""
    epochs = min(task.recipe.epochs, SLICE_EPOCHS)
    return replace(
        task,
        examples=task.examples[:SLICE_EXAMPLES],
        weak_labels=task.weak_labels[:SLICE_EXAMPLES],
        test_examples=task.test_examples[:SLICE_EXAMPLES],
        recipe=task.recipe.model_copy(update={"epochs": epochs}),
    )


def check_method(
    source: bytes, task: TrainingData, backend: LabBackend, pool: Pool, run_budget: RunBudget, *, owner: str = ""
) -> str:
    """Run a method on a slice and return a report.

    Raises:
        MethodError: it failed; the message lists the calls that it had made.
    """
    recording = _RecordingBackend(backend)
    try:
        student = run_method(source, recording, pool, run_budget, observer=recording, owner=owner)
    except MethodError as error:
        raise MethodError(f"on {len(task.examples)} examples it fails: {error}\n{recording.report()}") from None
    if not isinstance(student, str):
        return f"On {len(task.examples)} examples it returns {len(student)} predictions.\n{recording.report()}"
    agree = backend.predict(student, None).argmax(axis=1) == task.weak_labels.argmax(axis=1)
    return (
        f"On {len(task.examples)} examples, by default for one epoch, it returns a student that "
        f"agrees with the weak labels on {agree.mean():.0%} of them.\n{recording.report()}"
    )


class _RecordingBackend:
    """Records the calls of another backend, and observes the run. Implements LabBackend and Observer."""

    def __init__(self, backend: LabBackend) -> None:
        self._backend = backend
        self._calls: list[str] = []
        self._printed = ""

    def report(self) -> str:
        """Return the recorded calls and the output."""
        calls = "\n".join(self._calls) or "none"
        printed = self._printed[-PRINTED_CHARACTERS:].strip()
        return f"Calls of lab:\n{calls}" + (f"\nIt printed:\n{printed}" if printed else "")

    def describe(self) -> RunInfo:
        return self._backend.describe()

    def zero_shot(self, template: str | None, labels: tuple[str, str] | None) -> np.ndarray:
        call = "zero_shot(template)" if template else "zero_shot()"
        return self._timed(call, lambda: self._backend.zero_shot(template, labels))

    def embed(self, layer: float | tuple[float, ...], pool: Pooling) -> np.ndarray:
        return self._timed(f"embed({layer}, {pool})", lambda: self._backend.embed(layer, pool))

    def fine_tune(self, request: FineTuneCall) -> str:
        used = len(request.targets) if request.weights is None else int((request.weights > 0).sum())
        sides = f"{request.targets[:, 1].mean():.0%} towards class 1"
        call = f"fine_tune({request.loss.name}, {used} of {len(request.targets)} rows with weight, {sides})"
        return self._timed(call, lambda: self._backend.fine_tune(request))

    def predict(self, student: str, rows: np.ndarray | None) -> np.ndarray:
        return self._timed(f"{student}.predict()", lambda: self._backend.predict(student, rows))

    def head(self, weight: np.ndarray, bias: float) -> str:
        return self._timed(f"head({len(weight)} weights)", lambda: self._backend.head(weight, bias))

    def average(self, students: tuple[str, ...], shares: tuple[float, ...]) -> str:
        return self._timed(f"average({len(students)} students)", lambda: self._backend.average(students, shares))

    def train(self, call: TrainCall) -> str:
        return self._timed(f"train(program, {call.ranks} ranks)", lambda: self._backend.train(call))

    def predict_test(self, student: str) -> np.ndarray:
        return self._timed(f"{student}.predict_test()", lambda: self._backend.predict_test(student))

    def started(self, stop: Callable[[], None]) -> None:
        pass

    def ended(self, printed: str) -> None:
        self._printed = printed

    def _timed(self, call: str, compute: Callable[[], Answer]) -> Answer:
        began = time.monotonic()
        try:
            return compute()
        finally:
            self._calls.append(f"  {call}: {time.monotonic() - began:.1f} s")
