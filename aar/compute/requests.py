"""Requests to the compute workers.

A request is plain data. Its key is a digest of everything that determines its result, the code of the workers included,
so that equal work is done once. The result is an array, or a student's file.
"""

import dataclasses
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from aar.compute.store import StoredTexts
from aar.models.recipe import Loss, Pooling, Recipe


def array_to_bytes(array: np.ndarray) -> bytes:
    """Return the array as an .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def array_from_bytes(data: bytes) -> np.ndarray:
    """The inverse of `array_to_bytes`."""
    array: np.ndarray = np.load(io.BytesIO(data), allow_pickle=False)
    return array


def class_probabilities(odds: np.ndarray) -> np.ndarray:
    """Turn (n,) log-odds of class 1 into (n, 2) float32 probabilities of class 0 and 1."""
    class_1 = 1 / (1 + np.exp(-np.clip(odds.astype(np.float64), -30, 30)))
    return np.stack([1 - class_1, class_1], axis=1).astype(np.float32)


def content_key(kind: str, fields: Mapping[str, Any], version: str) -> str:
    """Return a hex digest of a kind of work, of all its inputs, and of the version of the code that does it."""
    canonical = {name: _canonical(value) for name, value in fields.items()}
    return hashlib.sha256(json.dumps([kind, canonical, version], sort_keys=True).encode()).hexdigest()


@cache
def source_digest(*parts: tuple[str, tuple[str, ...] | None]) -> str:
    """Return a digest of source files: the named modules of each package, or all its modules (None)."""
    digest = hashlib.sha256()
    for package, names in parts:
        for file in sorted(resources.files(package).iterdir(), key=lambda file: file.name):
            if file.name.endswith(".py") and (names is None or file.name in names):
                digest.update(file.read_bytes())
    return digest.hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return [str(value.dtype), list(value.shape), digest]
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, Recipe):
        return value.model_dump()
    if isinstance(value, Loss):
        return dataclasses.asdict(value)
    if isinstance(value, StoredTexts):
        return value.digest
    if isinstance(value, Mapping):
        return {name: _canonical(inner) for name, inner in value.items()}
    if isinstance(value, tuple | list):
        return hashlib.sha256(json.dumps(value).encode()).hexdigest()
    return value


OWN_TO_A_STUDENT = {"lr": 1.0, "epochs": 1.0}
"""Fields of the recipe in which students that are trained side by side may differ, each with a placeholder."""
TRAINING_COST = 3
"""The cost of a forward and a backward pass, in forward passes."""
MAKING_COST = 1000
"""The cost of making a student without training, for each that it is made of, in characters that a model reads."""
BYTES_PER_CHARACTER = 100
"""Bytes of weights that are checked in the time in which a model reads one character."""
WORKER_CODE = (
    ("aar.models", None),
    ("aar.compute", ("engine.py", "executor.py", "requests.py", "store.py")),
    ("aar", ("assets.py",)),
)
"""The source that turns a request into its result; `assets.py` says which weights a model's name stands for."""


@dataclass(frozen=True)
class Request:
    """A computation with the model `model`."""

    model: str

    def key(self) -> str:
        """Return a hex digest of the request's kind, its fields and the code that will answer it."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return content_key(type(self).__name__, fields, _code_version())

    def cost(self) -> float:
        """Estimate the work, in characters that the model reads once, forwards."""
        raise NotImplementedError


@dataclass(frozen=True)
class TextRequest(Request):
    """A computation on `texts`, which must be stored before the request is made."""

    texts: StoredTexts

    def cost(self) -> float:
        return float(self.texts.characters)


@dataclass(frozen=True)
class FineTune(TextRequest):
    """Train one student.

    targets: (n,) float32 probability of class 1. weights: (n,) float32. rows: (m,) int64 visiting order, shuffled
    again for each epoch if `shuffle`. start: key of the student to continue from, or None.
    """

    labels: tuple[str, str]
    recipe: Recipe
    targets: np.ndarray
    weights: np.ndarray
    rows: np.ndarray
    shuffle: bool
    loss: Loss
    seed: int
    start: str | None = None

    def cost(self) -> float:
        return TRAINING_COST * super().cost() / self.texts.examples * len(self.rows) * self.recipe.epochs

    def batch_key(self) -> str:
        """Return the key that requests share if they can be trained side by side on one base model."""
        shared = self.recipe.model_copy(update=OWN_TO_A_STUDENT)
        fields = {"model": self.model, "texts": self.texts, "labels": self.labels, "recipe": shared}
        return content_key("batch", fields, _code_version())


@dataclass(frozen=True)
class ImportAdapter(Request):
    """Check weights that were trained elsewhere, and make them a student like any other.

    weights: an untrusted safetensors file; every field is validated. recipe: says which layers it may touch, and how.
    """

    labels: tuple[str, str]
    recipe: Recipe
    weights: bytes

    def cost(self) -> float:
        return len(self.weights) / BYTES_PER_CHARACTER


@dataclass(frozen=True)
class ProbeHead(Request):
    """Make a student that changes no layer of the model and reads its score off by a given head.

    weight: (hidden,) float32, for the final hidden state of a text's last token.
    """

    labels: tuple[str, str]
    recipe: Recipe
    weight: np.ndarray
    bias: float

    def cost(self) -> float:
        return float(MAKING_COST)


@dataclass(frozen=True)
class Average(Request):
    """Average the weights of students, elementwise.

    students: keys, in the order in which they are added. shares: of each, summing to 1.
    """

    students: tuple[str, ...]
    shares: tuple[float, ...]

    def cost(self) -> float:
        return float(MAKING_COST * len(self.students))


@dataclass(frozen=True)
class Predict(TextRequest):
    """Ask for (n,) log-odds of class 1 by the student with key `student`."""

    student: str


@dataclass(frozen=True)
class LogLikelihoods(TextRequest):
    """Ask for (n, k) sums of token log-probabilities of each text, by the untrained model."""

    max_tokens: int


@dataclass(frozen=True)
class TextLosses(TextRequest):
    """Ask for (n,) nats per token of each text, by the student with this key or the base model as a language model."""

    student: str | None


@dataclass(frozen=True)
class LabelOdds(TextRequest):
    """Ask for (n, k) log-odds of label 1 against label 0 after each text, by the untrained model."""

    labels: tuple[str, str]
    max_tokens: int


@dataclass(frozen=True)
class Embed(TextRequest):
    """Ask for (n, k, d) hidden states after `layer`, (n, k, m, d) after m layers, or a sentence encoder's vectors.

    layer: a number of layers, negative from the end, or a share of all, above 0 and below 1; or a tuple of m of these;
    None: a sentence encoder's vectors, which are always means over tokens.
    """

    layer: float | tuple[float, ...] | None
    max_tokens: int
    pool: Pooling = "mean"


def _code_version() -> str:
    """Return the version of the workers' code, so that a change of it never serves an old result."""
    return source_digest(*WORKER_CODE)
