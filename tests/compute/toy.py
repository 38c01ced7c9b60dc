"""A toy fine-tuning: marked texts, a recipe that learns them in a second, and one training of several students."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from aar.compute.engine import FitSpec, Group, fine_tune
from aar.compute.requests import FineTune
from aar.compute.store import StoredTexts, texts_to_bytes
from aar.errors import TrainingError
from aar.models.batching import SampleSchedule
from aar.models.inference import flatten, predict
from aar.models.language_model import HiddenStateCache, LanguageModel
from aar.models.recipe import XENT, Recipe, Texts
from aar.models.student import Student
from tests.tiny_model import CPU, LABELS, marked_texts

N = 48
TEXTS, CLASSES = marked_texts(N)
TARGETS = CLASSES.astype(np.float32)


STORE: dict[str, bytes] = {}
"""Texts by digest, as they are in a compute actor's store."""


def stored(texts: Texts) -> StoredTexts:
    """Put texts into STORE, for requests to name."""
    name = StoredTexts.of(texts)
    STORE[name.digest] = texts_to_bytes(texts)
    return name


def recipe(**changes: Any) -> Recipe:
    """A recipe under which a tiny model learns the toy task."""
    settings: dict[str, Any] = {
        "form": "scalar_head", "lora_rank": 4, "last_layers": 2, "lr": 0.02, "epochs": 4, "batch_size": 8,
        "max_tokens": 32,
    }  # fmt: skip
    return Recipe(**{**settings, **changes})


def fit(recipe: Recipe, targets: np.ndarray = TARGETS, **changes: Any) -> FitSpec:
    """One student of `recipe` on all rows."""
    n = len(targets)
    everything = SampleSchedule(np.arange(n), np.ones(n, np.float32), True)
    settings: dict[str, Any] = {
        "visits": everything, "targets": targets, "loss": XENT, "epochs": recipe.epochs, "lr": recipe.lr, "seed": 1,
    }  # fmt: skip
    return FitSpec(**{**settings, **changes})


def trained(
    model: LanguageModel, recipe: Recipe, fits: Sequence[FitSpec], group: Group, texts: Texts = TEXTS
) -> list[Student | TrainingError]:
    """Train `fits` side by side; return each student, or the reason why there is none."""
    flat, k = flatten(texts)
    prefix = HiddenStateCache(model.cut(recipe.last_layers), model.encode(flat, recipe.max_tokens), model.device)
    return fine_tune(model, prefix, k, recipe, LABELS, fits, group)


def train(
    model: LanguageModel, recipe: Recipe, fits: Sequence[FitSpec], group: Group, texts: Texts = TEXTS
) -> list[Student]:
    """Train `fits` side by side; return the students, none of which fails."""
    outcomes = trained(model, recipe, fits, group, texts)
    students = [outcome for outcome in outcomes if isinstance(outcome, Student)]
    assert len(students) == len(fits), outcomes
    return students


def odds(model: LanguageModel, student: Student, texts: Texts = TEXTS) -> np.ndarray:
    """(n,) log-odds by the student."""
    flat, k = flatten(texts)
    prefix = HiddenStateCache(model.cut(student.shape.last_layers), model.encode(flat, student.shape.max_tokens), CPU)
    return predict(model, student, prefix, k)


def accuracy(odds: np.ndarray, classes: np.ndarray = CLASSES) -> float:
    """The share of rows on whose class the odds are right."""
    return float(((odds > 0) == (classes == 1)).mean())


def request(model: str, **changes: Any) -> FineTune:
    """The same as a request to the workers."""
    settings: dict[str, Any] = {
        "model": model, "texts": stored(TEXTS), "labels": LABELS, "recipe": recipe(), "targets": TARGETS,
        "weights": np.ones(N, np.float32), "rows": np.arange(N), "shuffle": True, "loss": XENT, "seed": 1,
    }  # fmt: skip
    return FineTune(**{**settings, **changes})
