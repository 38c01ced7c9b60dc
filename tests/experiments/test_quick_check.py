"""Quick checks and progress: what a researcher learns of a method without a score."""

import threading
from contextlib import closing

import numpy as np
import pytest

from aar.errors import MethodError
from aar.experiments.broker import RunBudget
from aar.experiments.method_sandbox import method_pool, run_method
from aar.experiments.progress import Progress
from aar.experiments.quick_check import SLICE_EXAMPLES, check_method, slice_of
from aar.models.recipe import Recipe
from aar.problems.dataset import Judgement
from aar.sandbox import provider
from aar.scoring.records import ExperimentRun, TrainingData
from tests.experiments.doubles import NumpyBackend
from tests.experiments.test_method_sandbox import LIMITS

GOOD = "def supervise(lab):\n    print('hello')\n    lab.zero_shot()\n    return lab.fine_tune(lab.weak_labels)\n"


def task(examples: int) -> TrainingData:
    texts = tuple(Judgement(f"question {row}", "answer") for row in range(examples))
    return TrainingData("binary", texts, np.full((examples, 2), 0.5, np.float32), Recipe(epochs=3))


def check(source: str) -> str:
    backend = NumpyBackend()
    part = task(len(backend.describe().examples))
    with closing(method_pool(provider("bubblewrap"), LIMITS, size=0)) as pool:
        return check_method(source.encode(), part, backend, pool, RunBudget(4))


def test_a_slice_is_small_and_trained_on_once() -> None:
    part = slice_of(task(100))
    assert len(part.examples) == len(part.weak_labels) == SLICE_EXAMPLES
    assert part.recipe.epochs == 1


def test_a_check_tells_calls_agreement_and_output_and_no_score() -> None:
    words = check(GOOD)
    assert "zero_shot()" in words and "fine_tune(xent" in words and "hello" in words
    assert "agrees with the weak labels" in words and "PGR" not in words and "accuracy" not in words


def test_a_check_that_fails_tells_why_and_how_far_it_came() -> None:
    with pytest.raises(MethodError, match=r"it fails: .*ZeroDivisionError(.|\n)*zero_shot\(\)"):
        check("def supervise(lab):\n    lab.zero_shot()\n    1 / 0\n")


def test_a_run_is_followed_and_can_be_cancelled() -> None:
    progress = Progress()
    source = b"import time\ndef supervise(lab):\n    print('begun', flush=True)\n    time.sleep(60)\n"
    with closing(method_pool(provider("bubblewrap"), LIMITS, size=0)) as pool:
        threading.Timer(0.5, progress.cancel).start()
        with pytest.raises(MethodError, match="stopped"):
            run_method(source, NumpyBackend(), pool, RunBudget(1), observer=progress.of(ExperimentRun("data", 7)))
    assert progress.log() == "data, seed 7:\nbegun\n"


def test_a_run_that_starts_after_the_cancellation_ends_at_once() -> None:
    progress, stopped = Progress(), threading.Event()
    progress.cancel()
    progress.of(ExperimentRun("data", 1)).started(stopped.set)
    assert stopped.is_set()
