"""A platform that computes with numpy alone, in place of models and Ray."""

import threading
from dataclasses import dataclass, field

import numpy as np

from aar.errors import LabError, TrainingError
from aar.experiments.broker import FineTuneCall, RunInfo, TrainCall
from aar.models.recipe import XENT, Pooling, Recipe

N = 20


@dataclass
class NumpyBackend:
    """A "student" is the mean of its targets, "embeddings" are the row numbers; requests are kept for inspection.

    `failure`: what fine_tune raises instead of training. `gate`: fine_tune waits for it.
    """

    failure: BaseException | None = None
    gate: threading.Event | None = None
    requests: list[FineTuneCall] = field(default_factory=list)
    programs: list[TrainCall] = field(default_factory=list)
    averages: list[tuple[tuple[str, ...], tuple[float, ...]]] = field(default_factory=list)
    heads: list[tuple[list[float], float]] = field(default_factory=list)
    labels: list[tuple[str, str] | None] = field(default_factory=list)
    pools: list[Pooling] = field(default_factory=list)
    templates: list[str | None] = field(default_factory=list)
    entered: threading.Event = field(default_factory=threading.Event)
    test_examples: list[dict[str, str]] = field(default_factory=list)

    def describe(self) -> RunInfo:
        examples = [{"prompt": f"question {row}", "first": "yes", "second": "nö"} for row in range(N)]
        weak = np.stack([np.linspace(0, 1, N), 1 - np.linspace(0, 1, N)], axis=1).astype(np.float32)
        return RunInfo("preference", examples, weak, seed=7, recipe=Recipe(lr=0.002), test_examples=self.test_examples)

    def zero_shot(self, template: str | None, labels: tuple[str, str] | None) -> np.ndarray:
        self.templates.append(template)
        self.labels.append(labels)
        return np.full((N, 2), 0.5)

    def embed(self, layer: float | tuple[float, ...], pool: Pooling) -> np.ndarray:
        layers = layer if isinstance(layer, tuple) else (layer,)
        if max(layers) > 4:
            raise LabError(f"the model has 4 layers, not {max(layers)}")
        self.pools.append(pool)
        states = np.stack([np.full((N, 2, 3), float(one)) for one in layers], axis=2)
        return states if isinstance(layer, tuple) else states[:, :, 0]

    def fine_tune(self, request: FineTuneCall) -> str:
        self.entered.set()
        if self.gate is not None:
            self.gate.wait(30)
        if self.failure is not None:
            raise self.failure
        self.requests.append(request)
        return f"student-{len(self.requests)}"

    def head(self, weight: np.ndarray, bias: float) -> str:
        self.heads.append((weight.tolist(), bias))
        self.requests.append(FineTuneCall(np.full((N, 2), 0.5, np.float32), None, None, XENT, None, None, None, 0))
        return f"student-{len(self.requests)}"

    def average(self, students: tuple[str, ...], shares: tuple[float, ...]) -> str:
        self.averages.append((students, shares))
        self.requests.append(FineTuneCall(np.full((N, 2), 0.5, np.float32), None, None, XENT, None, None, None, 0))
        return f"student-{len(self.requests)}"

    def train(self, call: TrainCall) -> str:
        self.programs.append(call)
        self.requests.append(FineTuneCall(np.full((N, 2), 0.5, np.float32), None, None, XENT, None, None, None, 0))
        return f"student-{len(self.requests)}"

    def predict_test(self, student: str) -> np.ndarray:
        return np.tile([[0.2, 0.8]], (len(self.test_examples), 1))

    def predict(self, student: str, rows: np.ndarray | None) -> np.ndarray:
        request = self.requests[int(student.removeprefix("student-")) - 1]
        if np.isnan(request.targets).any():
            raise TrainingError("diverged")
        count = N if rows is None else len(rows)
        return np.repeat(request.targets.mean(axis=0, keepdims=True), count, axis=0)
