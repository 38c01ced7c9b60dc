"""Fine-tuning with a real DeepSpeed engine: it learns, and what a student becomes depends on its own settings alone."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from aar.compute.engine import Group
from aar.models.batching import SampleSchedule
from aar.models.language_model import LanguageModel
from aar.models.recipe import LOSS_OPTIONS, Loss
from aar.models.student import Student, new_weights
from tests.compute.toy import CLASSES, TARGETS, N, accuracy, fit, odds, recipe, train
from tests.tiny_model import CPU, LABELS, marked_pairs


def assert_same_student(one: Student, other: Student, *, tolerance: float = 1e-4) -> None:
    assert one.weights.keys() == other.weights.keys()
    for name, value in one.weights.items():
        torch.testing.assert_close(value.float(), other.weights[name].float(), rtol=tolerance, atol=tolerance)


def xent(odds: np.ndarray) -> float:
    return float(np.logaddexp(0, np.where(CLASSES == 1, -odds, odds)).mean())


@pytest.mark.parametrize("form", ["label_token", "scalar_head"])
@pytest.mark.parametrize("loss", ["xent", "logconf"])
def test_a_student_learns_a_separable_task(llama: LanguageModel, alone: Group, form: str, loss: str) -> None:
    how = recipe(form=form)
    [short] = train(llama, how, [fit(how, epochs=0.01, loss=Loss.named(loss))], alone)
    [student] = train(llama, how, [fit(how, loss=Loss.named(loss))], alone)
    assert accuracy(odds(llama, student)) > 0.9
    assert xent(odds(llama, student)) < 0.5 * xent(odds(llama, short))
    assert student.shape.labels == LABELS


@pytest.mark.parametrize("loss", LOSS_OPTIONS)
def test_a_student_learns_by_every_loss(llama: LanguageModel, alone: Group, loss: str) -> None:
    [student] = train(llama, recipe(), [fit(recipe(), loss=Loss.named(loss))], alone)
    assert accuracy(odds(llama, student)) > 0.75


def test_a_student_learns_from_pairs(llama: LanguageModel, alone: Group) -> None:
    texts, classes = marked_pairs(N)
    [student] = train(llama, recipe(), [fit(recipe(), classes.astype(np.float32))], alone, texts)
    assert accuracy(odds(llama, student, texts), classes) > 0.9
    fresh, truth = marked_pairs(200, seed=5)
    assert accuracy(odds(llama, student, fresh), truth) > 0.75


def test_a_student_learns_its_targets_and_not_the_truth(llama: LanguageModel, alone: Group) -> None:
    [student] = train(llama, recipe(), [fit(recipe(), 1 - TARGETS)], alone)
    assert accuracy(odds(llama, student)) < 0.1


def test_students_trained_together_equal_those_trained_alone(llama: LanguageModel, alone: Group) -> None:
    some = SampleSchedule(np.arange(20), np.linspace(0.5, 2, N).astype(np.float32), False)
    fits = [
        fit(recipe(), seed=1),
        fit(recipe(), 1 - TARGETS, seed=2, lr=0.005, epochs=2),
        fit(recipe(), np.full(N, 0.3, np.float32), seed=3, visits=some, loss=Loss.named("logconf")),
    ]
    together = train(llama, recipe(), fits, alone)
    for spec, student in zip(fits, together, strict=True):
        assert_same_student(student, train(llama, recipe(), [spec], alone)[0], tolerance=1e-3)


def test_a_student_that_ended_early_stays_as_it_was(llama: LanguageModel, alone: Group) -> None:
    fits = [fit(recipe(), epochs=1), fit(recipe(), seed=2, epochs=4)]
    short, _ = train(llama, recipe(), fits, alone)
    assert_same_student(short, train(llama, recipe(), fits[:1], alone)[0], tolerance=1e-3)


def test_the_same_fit_gives_the_same_student(llama: LanguageModel, alone: Group) -> None:
    one, other = (train(llama, recipe(), [fit(recipe())], alone)[0] for _ in range(2))
    assert_same_student(one, other, tolerance=0)


def test_training_leaves_the_base_as_it_was(llama: LanguageModel, alone: Group) -> None:
    before = {name: value.clone() for name, value in llama.backbone.state_dict().items()}
    train(llama, recipe(), [fit(recipe())], alone)
    assert all(torch.equal(value, before[name]) for name, value in llama.backbone.state_dict().items())


def test_rows_that_are_not_visited_or_weigh_nothing_do_not_matter(llama: LanguageModel, alone: Group) -> None:
    kept = np.arange(N) < 24
    nonsense = np.where(kept, TARGETS, 1 - TARGETS)
    order = SampleSchedule(np.arange(N), kept.astype(np.float32), False)
    fits = [fit(recipe(), targets, visits=order) for targets in (TARGETS, nonsense)]
    one, other = train(llama, recipe(), fits, alone)
    assert_same_student(one, other)
    unvisited = SampleSchedule(np.arange(24), np.ones(N, np.float32), True)
    fits = [fit(recipe(), targets, visits=unvisited) for targets in (TARGETS, nonsense)]
    one, other = train(llama, recipe(), fits, alone)
    assert_same_student(one, other)


def test_scaling_all_weights_changes_nothing(llama: LanguageModel, alone: Group) -> None:
    weights = np.random.default_rng(0).uniform(0.5, 2, N).astype(np.float32)
    fits = [fit(recipe(), visits=SampleSchedule(np.arange(N), factor * weights, True)) for factor in (1, 100)]
    one, other = train(llama, recipe(), fits, alone)
    assert_same_student(one, other, tolerance=1e-3)


def test_a_student_can_continue_from_another(llama: LanguageModel, alone: Group) -> None:
    [first] = train(llama, recipe(), [fit(recipe())], alone)
    gentle = fit(recipe(), lr=1e-8, epochs=1, start=Student.from_bytes(first.to_bytes()))
    [same] = train(llama, recipe(), [gentle], alone)
    assert_same_student(same, first)
    [turned] = train(llama, recipe(), [fit(recipe(), 1 - TARGETS, start=first)], alone)
    assert accuracy(odds(llama, turned)) < 0.1


def test_a_student_saved_in_bfloat16_can_continue_in_float32(llama: LanguageModel, alone: Group) -> None:
    fresh = new_weights(llama.cut(2), "scalar_head", 4, seed=1)
    [shape_giver] = train(llama, recipe(), [fit(recipe(), epochs=0.01)], alone)
    start = Student(shape_giver.shape, {name: value.bfloat16() for name, value in fresh.items()})
    one, two = train(llama, recipe(), [fit(recipe(), start=start), fit(recipe())], alone)
    assert accuracy(odds(llama, one)) > 0.9
    assert {value.dtype for value in one.weights.values()} == {torch.float32} == {v.dtype for v in two.weights.values()}


def test_a_fresh_student_begins_as_its_base_and_its_seed(llama: LanguageModel, alone: Group) -> None:
    [student] = train(llama, recipe(), [fit(recipe(), lr=1e-9, epochs=0.01, seed=7)], alone)
    fresh = new_weights(llama.cut(2), "scalar_head", 4, seed=7)
    assert_same_student(student, Student(student.shape, fresh))


def test_in_bfloat16_it_learns_too(llama_folder: Path, alone: Group) -> None:
    model = LanguageModel(llama_folder, CPU, torch.bfloat16)
    [student] = train(model, recipe(), [fit(recipe())], alone)
    assert accuracy(odds(model, student)) > 0.9


@pytest.mark.parametrize("stage", [1, 2])
def test_stages_of_zero_agree(llama: LanguageModel, alone: Group, stage: int) -> None:
    fits = [fit(recipe()), fit(recipe(), 1 - TARGETS, seed=2, epochs=2)]
    plain, sharded = (train(llama, recipe(), fits, group) for group in (alone, Group(stage)))
    for one, other in zip(plain, sharded, strict=True):
        assert_same_student(one, other, tolerance=1e-3)


@pytest.fixture(scope="module")
def two_ranks(llama_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the students that each of two processes has after training; see `tests.compute.two_ranks`."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "tests.compute.two_ranks", str(llama_folder), str(folder)]
    ranks = [subprocess.Popen([*command, str(rank)], stderr=subprocess.PIPE, text=True) for rank in range(2)]
    for rank in ranks:
        _, errors = rank.communicate(timeout=120)
        assert rank.returncode == 0, errors[-2000:]
    return folder


def saved(folder: Path, stage: int, rank: int, seed: int) -> Student:
    return Student.from_bytes((folder / f"stage-{stage}-rank-{rank}-seed-{seed}").read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_two_ranks_train_students_of_their_own_or_the_same_together(
    llama: LanguageModel, alone: Group, two_ranks: Path, seed: int
) -> None:
    [expected] = train(llama, recipe(), [fit(recipe(), seed=seed)], alone)
    assert_same_student(saved(two_ranks, 0, rank=seed, seed=seed), expected)
    first, second = (saved(two_ranks, 1, rank, seed) for rank in range(2))
    assert_same_student(first, second, tolerance=0)
    assert_same_student(first, expected, tolerance=5e-3)


@pytest.mark.slow
def test_ranks_of_a_group_agree_on_the_value_of_the_first_one(two_ranks: Path) -> None:
    values = {
        (stage, rank): json.loads((two_ranks / f"stage-{stage}-rank-{rank}-agreed").read_text())
        for stage in range(2) for rank in range(2)
    }  # fmt: skip
    assert [values[0, rank] for rank in range(2)] == [[f"rank {rank}", {"ü": 0.1}] for rank in range(2)]
    assert values[1, 0] == values[1, 1] == ["rank 0", {"ü": 0.1}]
