"""A small lab: a linear student, a teacher with systematic errors, a better but over-confident prior."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from aar.errors import LabError
from aar.models.losses import per_example_loss
from aar.models.recipe import Loss

FEATURES = 8
BATCH = 16


def sigmoid(odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(odds, -60, 60)))


def two_columns(odds: np.ndarray) -> np.ndarray:
    logits = np.stack([np.zeros(len(odds)), odds], axis=1)
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (exps / exps.sum(axis=1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True)
class FineTuning:
    """One fine_tune call as it arrived."""

    targets: np.ndarray
    weights: np.ndarray
    order: np.ndarray | None
    loss: Loss
    epochs: float
    lr: float
    replica: int


@dataclass(frozen=True)
class StudentDouble:
    id: str
    slope: np.ndarray
    features: np.ndarray

    def predict(self, rows: np.ndarray | None = None) -> np.ndarray:
        return two_columns((self.features if rows is None else self.features[rows]) @ self.slope)


@dataclass
class LabDouble:
    kind: str = "preference"
    seed: int = 0
    size: int = 400
    calls: list[FineTuning] = field(default_factory=list)
    budget: dict[str, int] = field(default_factory=lambda: {"fits": 8})
    recipe: dict[str, Any] = field(default_factory=lambda: {"form": "scalar_head", "epochs": 4.0, "lr": 0.3})

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.direction = np.ones(FEATURES)
        bias = np.concatenate([np.zeros(FEATURES // 2), np.full(FEATURES // 2, 1.1)])
        self.features = rng.normal(size=(self.size, FEATURES))
        self.base_states = rng.normal(size=(self.size, FEATURES))
        self.labels = (self.features @ self.direction > 0).astype(int)
        self.test_features = rng.normal(size=(1000, FEATURES))
        self.test_labels = (self.test_features @ self.direction > 0).astype(int)
        teacher = self.features @ (self.direction - bias) + rng.normal(size=self.size)
        self.weak_labels = two_columns(teacher)
        prior = self.features @ self.direction + rng.normal(size=self.size)
        off_centre = 3.0 if self.kind == "binary" else 0.0
        self.prior = two_columns(15 * (prior + off_centre))
        names = ("prompt", "first", "second") if self.kind == "preference" else ("question", "choice")
        self.examples = [dict.fromkeys(names, f"text {row}") for row in range(self.size)]

    def zero_shot(self, template: str | None = None) -> np.ndarray:
        return self.prior

    def embed(self, layer: float = -1) -> np.ndarray:
        if self.kind == "binary":
            return self.features[:, None, :]
        return np.stack([self.base_states, self.base_states + self.features], axis=1)

    def fine_tune(
        self,
        targets: Any,
        weights: Any = None,
        order: Any = None,
        loss: str = "xent",
        epochs: float | None = None,
        lr: float | None = None,
        base: StudentDouble | None = None,
        loss_options: Mapping[str, float] | None = None,
        replica: int = 0,
    ) -> StudentDouble:
        targets, weights, order = self._checked(targets, weights, order)
        epochs, lr = epochs or self.recipe["epochs"], lr or self.recipe["lr"]
        call = FineTuning(targets, weights, order, Loss.named(loss, loss_options), epochs, lr, replica)
        self.calls.append(call)
        slope = np.zeros(FEATURES) if base is None else base.slope.copy()
        rng = np.random.default_rng((self.seed, replica))
        for _ in range(round(call.epochs)):
            visited = rng.permutation(self.size) if call.order is None else call.order
            for start in range(0, len(visited), BATCH):
                self._descend(slope, call, visited[start : start + BATCH])
        return StudentDouble(str(len(self.calls)), slope, self.features)

    def average(self, students: list[StudentDouble], weights: Any = None) -> StudentDouble:
        return StudentDouble(
            "mean", np.average([one.slope for one in students], axis=0, weights=weights), self.features
        )

    def _descend(self, slope: np.ndarray, call: FineTuning, rows: np.ndarray) -> None:
        logits = torch.tensor(self.features[rows] @ slope, requires_grad=True)
        losses = per_example_loss(call.loss, logits, torch.tensor(call.targets[rows, 1]), 0.5)
        (gradient,) = torch.autograd.grad(losses.sum(), logits)
        slope -= call.lr * self.features[rows].T @ (call.weights[rows] * gradient.numpy()) / BATCH

    def _checked(self, targets: Any, weights: Any, order: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        targets = np.asarray(targets, dtype=float)
        if targets.ndim == 1:
            targets = np.stack([1 - targets, targets], axis=1)
        weights = np.ones(self.size) if weights is None else np.asarray(weights, dtype=float)
        if targets.shape != (self.size, 2) or not np.allclose(targets.sum(axis=1), 1) or targets.min() < 0:
            raise LabError("targets are (n, 2) probabilities")
        if weights.shape != (self.size,) or not np.isfinite(weights).all() or weights.min() < 0 or not weights.any():
            raise LabError("weights are (n,) numbers from 0, not all 0")
        if order is not None and (np.asarray(order).dtype.kind != "i" or not set(order) <= set(range(self.size))):
            raise LabError("order holds row numbers")
        if len(self.calls) >= self.budget["fits"]:
            raise LabError("the budget of fits is spent")
        return targets, weights, None if order is None else np.asarray(order)

    def accuracy(self, student: StudentDouble) -> float:
        return float(((self.test_features @ student.slope > 0) == self.test_labels).mean())


def run_method(source: str, lab: LabDouble) -> StudentDouble:
    """Run a method file as the sandbox does, without a sandbox."""
    namespace: dict[str, Any] = {}
    exec(compile(source, "method.py", "exec"), namespace)
    student = namespace["supervise"](lab)
    assert isinstance(student, StudentDouble)
    return student
