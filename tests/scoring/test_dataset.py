"""The scorer's datasets: teachers, measurements and splits; predictions that methods submit, good and hostile ones."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aar.compute.requests import FineTune
from aar.config import TeacherConfig
from aar.errors import ScoringError
from aar.scoring.dataset import (
    CEILING,
    PRIOR,
    SIGNED_PRIOR,
    TEACHER,
    HeldOutDataset,
    checked_predictions,
    predictions_digest,
)
from aar.scoring.records import DEV, SEALED, ExperimentRun, RunOutput
from aar.scoring.store import ScoreStore
from tests.scoring.doubles import ComputeDouble, campaign, write_dataset


def test_labels_and_probabilities_are_predictions() -> None:
    labels = np.array([0, 1, 1])
    probabilities = np.array([[0.6, 0.4], [0.1, 0.9], [0.5, 0.5]])
    np.testing.assert_array_equal(checked_predictions(labels, 3), [False, True, True])
    np.testing.assert_array_equal(checked_predictions(probabilities, 3), [False, True, False])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.array([0.2, np.nan, np.nan]), "NaN or infinity in 2 rows, first in row 1"),
        (np.array([[0.5, 0.5], [np.inf, 0.0], [0.5, 0.5]]), "NaN or infinity in 1 rows"),
        (np.zeros(2), r"have shape \(2,\); expected \(3,\) labels"),
        (np.zeros(10_000_000), r"have shape \(10000000,\)"),
        (np.zeros((3, 3)), r"have shape \(3, 3\)"),
        (np.zeros((3, 2, 2)), r"have shape"),
        (np.float64(1.0), r"have shape \(\)"),
        (np.empty(0), r"have shape \(0,\)"),
        (np.array(["A", "B", "A"]), "have dtype"),
        (np.array([None, 1, 2]), "have dtype object"),
        (np.array([0, 2, 1]), "labels must be 0 or 1"),
        (np.array([0.3, 0.2, 0.9]), "labels must be 0 or 1"),
        (np.array([[1.5, -0.5]] * 3), "must lie between 0 and 1"),
        (np.array([[1.0, 1.0]] * 3), "each row must sum to 1"),
        (np.array([[1e308, 1e308]] * 3), "must lie between 0 and 1"),
    ],
)
def test_anything_else_is_refused_with_a_reason(values: np.ndarray, reason: str) -> None:
    with pytest.raises(ScoringError, match=reason):
        checked_predictions(np.asarray(values), 3)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.lists(st.booleans(), min_size=1, max_size=40))
def test_a_digest_knows_predictions_again(one: list[bool], other: list[bool]) -> None:
    same = predictions_digest(np.array(one)) == predictions_digest(np.array(other))
    assert same == (one == other)


def held_out(folder: Path, **changes: Any) -> tuple[HeldOutDataset, ComputeDouble]:
    """A dataset over a double of the compute actor; its teacher is fine-tuned, so that requests show its rows."""
    teacher = TeacherConfig(model="weak", kind="causal_lm", examples=32)
    config = campaign(write_dataset(folder / "data"), **{"teacher": teacher, **changes})
    compute = ComputeDouble()
    dataset = HeldOutDataset(config, config.problem.dataset(), ScoreStore(folder), compute)
    compute.know(dataset.data)
    return dataset, compute


def taught(compute: ComputeDouble) -> set[Any]:
    """The texts from which the last teacher learned."""
    return set(compute.texts(compute.of_kind(FineTune)[-1]))


def test_a_worse_teacher_learns_from_a_quarter_of_the_examples_and_a_better_one_from_all(tmp_path: Path) -> None:
    dataset, compute = held_out(tmp_path)
    assert dataset.has_better_teacher
    rows = {}
    for labels in ("worse", "teacher", "better"):
        asyncio.run(dataset.task(ExperimentRun("data", 7, labels), DEV))
        rows[labels] = taught(compute)
    assert rows["worse"] < rows["teacher"] < rows["better"]
    assert {labels: len(texts) for labels, texts in rows.items()} == {"worse": 8, "teacher": 32, "better": 40}


def test_even_the_worse_teacher_learns_from_some_examples(tmp_path: Path) -> None:
    dataset, compute = held_out(tmp_path, teacher=TeacherConfig(model="weak", kind="causal_lm", examples=12))
    asyncio.run(dataset.task(ExperimentRun("data", 7, "worse"), DEV))
    assert len(taught(compute)) == 8


def test_a_teacher_that_learns_from_all_examples_has_no_better_one(tmp_path: Path) -> None:
    dataset, _ = held_out(tmp_path, teacher=TeacherConfig(model="weak"))
    assert not dataset.has_better_teacher


def test_only_measured_models_have_a_correctness(tmp_path: Path) -> None:
    dataset, compute = held_out(tmp_path)
    asyncio.run(dataset.measure_students(DEV, "e1", {7: compute.student("s", 0.2)}))
    assert dataset.correctness(DEV, "e1").seeds == (7,)
    for split, model in ((SEALED, "e1"), (DEV, "e2")):
        with pytest.raises(ScoringError, match=f"data: {model} was not measured on {split}"):
            dataset.correctness(split, model)


def test_ends_of_the_gap_are_measured_on_one_split_and_their_own_seeds(tmp_path: Path) -> None:
    dataset, _ = held_out(tmp_path)
    asyncio.run(dataset.measure_ends(SEALED, (1, 2), (3,)))
    assert (dataset.correctness(SEALED, TEACHER).seeds, dataset.correctness(SEALED, CEILING).seeds) == ((1, 2), (3,))
    assert dataset.correctness(SEALED, CEILING).by_seed.shape == (1, len(dataset.splits[SEALED]))
    with pytest.raises(ScoringError, match="teacher was not measured on dev"):
        dataset.correctness(DEV, TEACHER)


@pytest.mark.parametrize("error", [0.2, 0.8])
def test_the_untrained_student_is_measured_as_it_is_and_with_the_teachers_sign(tmp_path: Path, error: float) -> None:
    dataset, compute = held_out(tmp_path)
    compute.prior_error = error
    asyncio.run(dataset.measure_priors(DEV, (1, 2)))
    prior, signed = (dataset.correctness(DEV, name) for name in (PRIOR, SIGNED_PRIOR))
    assert prior.seeds == signed.seeds == (1, 2)
    assert prior.accuracy == pytest.approx(1 - error, abs=0.12)
    assert signed.accuracy == pytest.approx(0.8, abs=0.12)


def test_runs_with_equal_predictions_have_equal_digests(tmp_path: Path) -> None:
    dataset, compute = held_out(tmp_path)
    labels = dataset.splits[DEV].labels
    outputs = {
        1: RunOutput(None, predictions=labels),
        2: RunOutput(None, predictions=np.stack([1 - labels, labels], 1)),
    }
    same = asyncio.run(dataset.measure_outputs(DEV, "e1", outputs))
    other = asyncio.run(dataset.measure_outputs(DEV, "e2", {1: RunOutput(compute.student("s", 0.3))}))
    assert same[1] == same[2] != other[1]
    assert dataset.correctness(DEV, "e1").accuracies == (1.0, 1.0)


def test_the_splits_are_recorded_once_however_often_the_dataset_is_opened(tmp_path: Path) -> None:
    dataset, _ = held_out(tmp_path)
    held_out(tmp_path)
    [entry] = ScoreStore(tmp_path, read_only=True).ledger()
    assert (entry.kind, entry.key) == ("split", "split/data")
    assert {name: part["items"] for name, part in entry.body.items()} == {
        name: len(split) for name, split in dataset.splits.items()
    }
