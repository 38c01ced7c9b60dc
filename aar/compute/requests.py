"""Arrays as bytes and back, and log-odds as probabilities.

The keys of results: the digest of all that determines one, so that equal work is done once.

What can be asked of the compute workers: data, each with a key that is the digest of all that determines it.
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

from aar.compute.texts import StoredTexts
from aar.models.data import Loss
from aar.models.recipe import Recipe


def array_to_bytes(array: np.ndarray) -> bytes:
    """As an .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def array_from_bytes(data: bytes) -> np.ndarray:
    """The inverse of `array_to_bytes`."""
    array: np.ndarray = np.load(io.BytesIO(data), allow_pickle=False)
    return array


def class_probabilities(odds: np.ndarray) -> np.ndarray:
    """(n,) log-odds of class 1 -> (n, 2) float32 probabilities of class 0 and 1."""
    one = 1 / (1 + np.exp(-np.clip(odds.astype(np.float64), -30, 30)))
    return np.stack([1 - one, one], axis=1).astype(np.float32)


def content_key(kind: str, fields: Mapping[str, Any], version: str) -> str:
    """Hex digest of a kind of work, of all that it is given, and of the version of what does it."""
    canonical = {name: _canonical(value) for name, value in fields.items()}
    return hashlib.sha256(json.dumps([kind, canonical, version], sort_keys=True).encode()).hexdigest()


@cache
def source_digest(*parts: tuple[str, tuple[str, ...] | None]) -> str:
    """Digest of source files: of each package the modules that are named, or all (None)."""
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
    if isinstance(value, StoredTexts):
        return value.digest
    if isinstance(value, Mapping):
        return {name: _canonical(inner) for name, inner in value.items()}
    if isinstance(value, tuple | list):
        return hashlib.sha256(json.dumps(value).encode()).hexdigest()
    return value


OWN_TO_A_STUDENT = {"lr": 1.0, "epochs": 1.0}
"""What students that are trained side by side may differ in."""
TRAINING_COST = 3
"""A step forwards and backwards, in steps forwards."""
BYTES_PER_CHARACTER = 100
"""Bytes of weights that are checked in the time in which a model reads one character."""


@dataclass(frozen=True)
class Request:
    """Something to compute with `model`."""

    model: str

    def key(self) -> str:
        """Hex digest of the request's kind, its fields and the code that will answer it."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return content_key(type(self).__name__, fields, _code_version())

    def cost(self) -> float:
        """An estimate of the work: characters that the model reads once, forwards."""
        raise NotImplementedError


@dataclass(frozen=True)
class TextRequest(Request):
    """Something to compute on `texts`, which must be in the store before it is asked for."""

    texts: StoredTexts

    def cost(self) -> float:
        return float(self.texts.characters)


@dataclass(frozen=True)
class FineTune(TextRequest):
    """Train one student.

    targets: (n,) float32 probability of class 1. weights: (n,) float32. rows: (m,) int64 visiting order, shuffled anew
    each epoch if `shuffle`. start: key of the student to go on from, or None.
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
        """Requests with the same one can be trained side by side on one base model."""
        how = self.recipe.model_copy(update=OWN_TO_A_STUDENT)
        fields = {"model": self.model, "texts": self.texts, "labels": self.labels, "recipe": how}
        return content_key("batch", fields, _code_version())


@dataclass(frozen=True)
class ImportAdapter(Request):
    """Check a student's weights that were trained elsewhere, and make them a student like any other.

    weights: a safetensors file, believed in nothing. `recipe` says which layers it may touch, and how.
    """

    labels: tuple[str, str]
    recipe: Recipe
    weights: bytes

    def cost(self) -> float:
        return len(self.weights) / BYTES_PER_CHARACTER


@dataclass(frozen=True)
class Predict(TextRequest):
    """(n,) log-odds of class 1 by the student with key `student`."""

    student: str


@dataclass(frozen=True)
class LogLikelihoods(TextRequest):
    """(n, k) sums of token log-probabilities of each text, by the untrained model."""

    max_tokens: int


@dataclass(frozen=True)
class TextLosses(TextRequest):
    """(n,) nats per token of each text, as a language model: of the student with this key, or of the base model."""

    student: str | None


@dataclass(frozen=True)
class LabelOdds(TextRequest):
    """(n, k) log-odds of label 1 against label 0 after each text, by the untrained model."""

    labels: tuple[str, str]
    max_tokens: int


@dataclass(frozen=True)
class Embed(TextRequest):
    """(n, k, d) mean-pooled hidden states after `layer` layers, or a sentence encoder's vectors when that is None."""

    layer: int | None
    max_tokens: int


def _code_version() -> str:
    """Of the source that turns requests into results, so that a change of it never serves an old result."""
    return source_digest(("aar.models", None), ("aar.compute", ("engine.py", "divergence.py", "executor.py")))
