"""Attacks on students that are trained together: one that diverges fails alone and changes no other."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aar.compute.engine import FitSpec, Group
from aar.errors import TrainingError
from aar.models.batching import SampleSchedule
from aar.models.language_model import LanguageModel
from aar.models.recipe import Loss
from aar.models.student import Student
from tests.compute.toy import TARGETS, N, accuracy, fit, odds, recipe, trained
from tests.tiny_model import CPU

HOW = recipe()


@pytest.fixture(scope="module", params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def model(request: pytest.FixtureRequest, llama_folder: Path) -> LanguageModel:
    return LanguageModel(llama_folder, CPU, request.param)


@pytest.fixture(params=[0, 1, 2], ids=lambda stage: f"zero-{stage}")
def group(request: pytest.FixtureRequest, process_group: None) -> Group:
    return Group(request.param)


def huge_start(student: Student) -> Student:
    return Student(student.shape, {name: torch.full_like(value, 1e30) for name, value in student.weights.items()})


def infinite_loss(student: Student) -> Student:
    """One whose log-odds are as large as a number can be: twice that is infinite, and its gradient still is not."""
    nothing = {name: torch.zeros_like(value) for name, value in student.weights.items()}
    return Student(student.shape, {**nothing, "head/bias": torch.full((1,), 3e38)})


def diverging(start: Student) -> dict[str, FitSpec]:
    """Fits on the same rows in the same order as a good one's, each of which breaks in another way."""
    usual = fit(HOW, 1 - TARGETS)
    uneven = replace(usual.visits, weights=np.where(np.arange(N) % 2, 1.9, 0.1).astype(np.float32))
    return {
        "an infinite loss": replace(usual, start=infinite_loss(start), visits=uneven, lr=1e-9),
        "a huge learning rate": replace(usual, lr=1e30),
        "huge weights": replace(usual, start=huge_start(start)),
        "huge targets": replace(usual, targets=np.full(N, 3e38, np.float32)),
        "targets that are not numbers": replace(usual, targets=np.full(N, np.nan, np.float32)),
        "large targets": replace(usual, targets=np.full(N, 1e25, np.float32)),
    }


WAYS = [
    "an infinite loss", "a huge learning rate", "huge weights", "huge targets", "targets that are not numbers",
    "large targets",
]  # fmt: skip


@pytest.mark.parametrize("how", WAYS)
def test_a_student_that_diverges_fails_alone_and_leaves_the_others_bit_for_bit_as_they_were(
    model: LanguageModel, group: Group, how: str
) -> None:
    good, beside = fit(HOW), fit(HOW, 1 - TARGETS)
    undisturbed, other = trained(model, HOW, [good, beside], group)
    assert isinstance(undisturbed, Student) and isinstance(other, Student)
    student, failure = trained(model, HOW, [good, diverging(other)[how]], group)
    assert isinstance(student, Student) and accuracy(odds(model, student)) > 0.9
    for name, value in undisturbed.weights.items():
        assert torch.equal(student.weights[name], value), name
    assert isinstance(failure, TrainingError) and "the training diverged" in str(failure)


def test_a_student_is_bit_for_bit_the_same_alone_and_beside_others(model: LanguageModel, group: Group) -> None:
    some = SampleSchedule(np.arange(20), np.linspace(0.5, 2, N).astype(np.float32), False)
    fits = [
        fit(HOW),
        fit(HOW, 1 - TARGETS, seed=2, lr=0.005, epochs=2),
        fit(HOW, seed=3, visits=some, loss=Loss.named("logconf")),
    ]
    for spec, together in zip(fits, trained(model, HOW, fits, group), strict=True):
        [alone] = trained(model, HOW, [spec], group)
        assert isinstance(alone, Student) and isinstance(together, Student)
        assert all(torch.equal(value, together.weights[name]) for name, value in alone.weights.items())


def test_the_error_says_at_which_step_the_training_diverged(model: LanguageModel, alone: Group) -> None:
    late = TARGETS.copy()
    late[-1] = np.nan
    in_order = replace(fit(HOW, late).visits, shuffle=False)
    [failure] = trained(model, HOW, [replace(fit(HOW, late), visits=in_order)], alone)
    assert isinstance(failure, TrainingError) and f"at step {-(-N // HOW.batch_size)} " in str(failure)


def test_students_none_of_whose_steps_was_taken_are_not_handed_out(
    model: LanguageModel, alone: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever made the engine skip a step: an untrained student must not be taken for a trained one."""
    monkeypatch.setattr("deepspeed.runtime.engine.DeepSpeedEngine.step", lambda engine: None)
    with pytest.raises(TrainingError, match="did not complete its 24 planned steps"):
        trained(model, HOW, [fit(HOW)], alone)


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def two_ranks(request: pytest.FixtureRequest, llama_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what each of two processes has after training; see `tests.compute.two_ranks_diverge`."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "tests.compute.two_ranks_diverge", str(llama_folder), str(folder)]
    ranks = [
        subprocess.Popen([*command, str(rank), request.param], stderr=subprocess.PIPE, text=True) for rank in range(2)
    ]
    for rank in ranks:
        _, errors = rank.communicate(timeout=120)
        assert rank.returncode == 0, errors[-2000:]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 2])
def test_ranks_agree_on_a_student_that_one_of_them_alone_sees_diverge(two_ranks: Path, stage: int) -> None:
    def of(rank: int, beside: str, number: int) -> bytes:
        return (two_ranks / f"stage-{stage}-rank-{rank}-beside-{beside}-{number}").read_bytes()

    expected = Student.from_bytes(of(0, "good", 0)).weights
    for rank, beside in ((1, "good"), (0, "bad"), (1, "bad")):
        weights = Student.from_bytes(of(rank, beside, 0)).weights
        assert all(torch.equal(weights[name], value) for name, value in expected.items())
    assert isinstance(Student.from_bytes(of(0, "good", 1)), Student)
    assert of(0, "bad", 1) == of(1, "bad", 1)
    assert f"at step {-(-N // HOW.batch_size)} " in of(0, "bad", 1).decode()
