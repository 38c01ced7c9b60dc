"""Quick checks: what a researcher learns about a method without a score."""

from contextlib import closing

import numpy as np
import pytest

from aar.errors import MethodError
from aar.experiments.broker import RunBudget
from aar.experiments.method_sandbox import method_pool
from aar.experiments.quick_check import SLICE_EXAMPLES, check_method, slice_of
from aar.models.recipe import Recipe
from aar.problems.dataset import Judgement
from aar.sandbox import provider
from aar.scoring.records import TrainingData
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


def test_a_report_lists_calls_agreement_and_output_and_no_score() -> None:
    report = check(GOOD)
    assert "zero_shot()" in report and "fine_tune(xent" in report and "hello" in report
    assert "agrees with the weak labels" in report and "PGR" not in report and "accuracy" not in report


def test_the_report_of_a_failure_says_why_and_which_calls_were_made() -> None:
    with pytest.raises(MethodError, match=r"it fails: .*ZeroDivisionError(.|\n)*zero_shot\(\)"):
        check("def supervise(lab):\n    lab.zero_shot()\n    1 / 0\n")
