"""Attacks on the compute that a campaign shares: one lab call must not hold it for hours."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from aar.compute.client import ComputeClient
from aar.compute.requests import FineTune, ImportAdapter, Request
from aar.compute.store import StoredTexts
from aar.errors import LabError
from aar.experiments.backend import EXTRA_CHARACTERS, MAX_PASSES, MAX_VISITS, SMALL_FIT, ModelBackend
from aar.experiments.validation import FineTuneCall
from aar.guest.lab import Lab
from aar.models.recipe import Texts
from aar.problems.dataset import Preference
from aar.scoring.records import TrainingData
from tests.compute.toy import recipe

N = 400


@dataclass(frozen=True)
class Answering(ComputeClient):
    """Answers everything at once, and keeps what it was asked for."""

    compute: None = None
    asked: list[Request] = field(default_factory=list)
    stored: list[Texts] = field(default_factory=list)

    def put(self, texts: Texts) -> StoredTexts:
        self.stored.append(texts)
        return StoredTexts.of(texts)

    def run(self, request: Request) -> np.ndarray:
        self.asked.append(request)
        return np.zeros((N, 2))

    def train(self, request: FineTune | ImportAdapter) -> str:
        self.asked.append(request)
        return "a key"


@pytest.fixture
def compute() -> Answering:
    return Answering()


@pytest.fixture
def backend(compute: Answering) -> ModelBackend:
    examples = tuple(Preference("", f"a sentence {row}", f"a sentence is {row}") for row in range(N))
    task = TrainingData("preference", examples, np.full((N, 2), 0.5, np.float32), recipe(epochs=2))
    return ModelBackend(task, 1, "m", compute, programs=None)  # type: ignore[arg-type]


def call(epochs: float | None = None, repeats: int = 1) -> FineTuneCall:
    order = np.tile(np.arange(N), repeats)
    return FineTuneCall(np.full((N, 2), 0.5, np.float32), None, order, "xent", epochs, None, None)


def test_a_fit_of_four_hundred_epochs_by_its_order_is_refused_before_it_is_queued(
    backend: ModelBackend, compute: Answering
) -> None:
    with pytest.raises(LabError, match="would visit 160,000 rows; at most 8,000 are allowed, 10 times as many"):
        backend.fine_tune(call(epochs=20, repeats=20))
    assert not compute.asked and not compute.stored


def test_a_fit_may_be_longer_than_the_recipes(backend: ModelBackend, compute: Answering) -> None:
    backend.fine_tune(call(epochs=2 * MAX_VISITS))
    backend.fine_tune(call(epochs=1, repeats=2 * MAX_VISITS))
    assert len(compute.asked) == 2
    assert len(compute.stored) == 1  # both name the same texts


def test_prompts_of_four_thousand_characters_are_refused_after_a_few_calls(
    backend: ModelBackend, compute: Answering
) -> None:
    made = 0
    with pytest.raises(LabError, match=r"has the model read .* characters, and .* are left to the run"):
        while made < 100:
            backend.zero_shot("x" * 3900 + "{first}{second}")
            made += 1
    assert 1 <= made < 10
    assert len(compute.stored) == made  # the prompts that were refused are not stored either


def test_as_many_short_prompts_as_a_method_could_want_are_answered(backend: ModelBackend) -> None:
    for number in range(MAX_PASSES // 4):
        backend.zero_shot(f"Question {number}: which of these is good?\nA: {{first}}\nB: {{second}}\nAnswer:")
        backend.embed(number)


def test_what_a_method_reads_of_the_lab_says_how_much_it_may_ask_for() -> None:
    """The client runs in a sandbox and cannot take the numbers from where they are checked."""
    fit, zero_shot = " ".join((Lab.fine_tune.__doc__ or "").split()), " ".join((Lab.zero_shot.__doc__ or "").split())
    assert f"at most {MAX_VISITS} times as many rows" in fit and f"or {SMALL_FIT:,} if that is more" in fit
    assert f"more than {MAX_PASSES} times as many characters" in zero_shot and f"{EXTRA_CHARACTERS} more" in zero_shot
