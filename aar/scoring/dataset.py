"""Predictions as a method hands them in, checked before anything is answered; and the digest by which they are known.

Covers: predictions that are not numbers, not finite, no probabilities, of a wrong length or far too long. Each is
refused with a ScoringError that says what was expected.

One dataset as the scorer holds it: ground truth, the two parts of the test set, and what is measured on them.

Only the scorer makes one. Whatever was measured is kept in the scorebook; model calls are requests to the compute
actor, so that what was computed once is not computed again.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from aar.config import CampaignConfig, DatasetConfig
from aar.errors import ScoringError
from aar.problems.dataset import Split
from aar.problems.loading import load_dataset
from aar.scoring.evaluator import Evaluator, correct
from aar.scoring.records import DEV, PLATFORM, SEALED, ExperimentRun, Labels, RunOutput, TrainingData
from aar.scoring.split import cut, fingerprint
from aar.scoring.stats.pgr import Correctness
from aar.scoring.store import ScoreStore


def checked_predictions(values: np.ndarray, items: int) -> np.ndarray:
    """(items,) bool, predicted class 1, from (items,) labels or (items, 2) probabilities.

    Raises:
        ScoringError: anything else was handed in.
    """
    expected = f"expected ({items},) labels of 0 and 1 or ({items}, 2) probabilities, a row for each test input"
    if values.ndim not in (1, 2) or len(values) != items or (values.ndim == 2 and values.shape[1] != 2):
        raise ScoringError(f"the predictions have shape {values.shape}; {expected}")
    if values.dtype.kind not in "fiub":
        raise ScoringError(f"the predictions have dtype {values.dtype}; {expected}")
    bad = ~np.isfinite(values.reshape(items, -1)).all(axis=1)
    if bad.any():
        raise ScoringError(f"the predictions hold NaN or infinity in {bad.sum()} rows, first in row {bad.argmax()}")
    if values.ndim == 1:
        if not np.isin(values, (0, 1)).all():
            raise ScoringError(f"labels must be 0 or 1; {expected}")
        return np.asarray(values == 1)
    if values.min() < 0 or values.max() > 1 + 1e-3 or np.abs(values.sum(axis=1, dtype=float) - 1).max() > 1e-3:
        raise ScoringError(f"probabilities must lie between 0 and 1 and each row must sum to 1; {expected}")
    return np.asarray(values[:, 1] > values[:, 0])


def predictions_digest(predicted: np.ndarray) -> str:
    """SHA-256 of (items,) predicted classes."""
    return hashlib.sha256(np.packbits(predicted.astype(bool)).tobytes() + str(predicted.size).encode()).hexdigest()


TEACHER, CEILING = "teacher", "ceiling"
WORSE_SHARE = 0.25
"""The worse teacher learns from this share of the teacher's examples; the better one from all there are."""


class HeldOutDataset:
    """A dataset with its hidden parts."""

    def __init__(self, config: CampaignConfig, dataset: DatasetConfig, book: ScoreStore, compute: Any) -> None:
        """Raises ScoringError when the test set is not the one that this campaign began with."""
        self.name, self.role, self.recipe = dataset.name, dataset.role, config.problem.recipe_for(dataset)
        self._shows_inputs, self._book = config.scoring.protocol == "predictions", book
        self._key = book.key()
        self.data = load_dataset(dataset, self._key)
        self.measure = Evaluator(config.problem, dataset, self.data, compute)
        dev, sealed = cut(self.data.test, config.scoring.dev_share, self._key.derived("dataset", dataset.name))
        self.parts = {DEV: dev, SEALED: sealed}
        self._note_cut()

    async def task(self, run: ExperimentRun, test: str) -> TrainingData:
        """What the method may know in this run."""
        unlabelled = self.data.train_unlabel
        weak = await self._labels(unlabelled, run)
        shown = self.parts[test].examples if self._shows_inputs else ()
        return TrainingData(self.data.kind, unlabelled.examples, weak, self.recipe, shown)

    async def measure_ends(self, test: str, weak_seeds: tuple[int, ...], ceiling_seeds: tuple[int, ...]) -> None:
        """Store who of teacher and ceiling is right on a part of the test set."""
        split = self.parts[test]
        weak = {seed: correct(await self.measure.weak_labels(split, seed), split) for seed in weak_seeds}
        self._book.keep_correctness(self.name, test, TEACHER, weak)
        keys = await asyncio.gather(*(self.measure.ceiling(seed) for seed in ceiling_seeds))
        await self.measure_students(test, CEILING, dict(zip(ceiling_seeds, keys, strict=True)))

    async def measure_students(self, test: str, model: str, students: Mapping[int, str]) -> None:
        """Store who of a model's students is right on a part of the test set."""
        await self.measure_trained(test, model, {seed: RunOutput(key) for seed, key in students.items()})

    async def measure_trained(self, test: str, model: str, trained: Mapping[int, RunOutput]) -> dict[int, str]:
        """Store what the runs of one model got right; returns the digests of their predictions, by seed.

        Raises ScoringError when predictions that were handed in cannot be scored.
        """
        split = self.parts[test]
        predicted = await asyncio.gather(*(self._predicted(one, split) for one in trained.values()))
        by_seed = dict(zip(trained, predicted, strict=True))
        self._book.keep_correctness(
            self.name, test, model, {seed: one == (split.labels == 1) for seed, one in by_seed.items()}
        )
        return {seed: predictions_digest(one) for seed, one in by_seed.items()}

    def correctness(self, test: str, model: str) -> Correctness:
        """Who was right. Raises ScoringError when it was not measured."""
        found = self._book.correctness(self.name, test, model)
        if found is None:
            raise ScoringError(f"{self.name}: {model} was not measured on {test}")
        return found

    async def _predicted(self, trained: RunOutput, split: Split) -> np.ndarray:
        """(n,) bool, predicted class 1."""
        if trained.student is None:
            handed_in = np.empty(0) if trained.predictions is None else trained.predictions
            return checked_predictions(handed_in, len(split))
        probabilities = await self.measure.predictions(trained.student, split)
        return np.asarray(probabilities[:, 1] > probabilities[:, 0])

    async def _labels(self, split: Split, run: ExperimentRun) -> np.ndarray:
        weak = await self.measure.weak_labels(split, run.seed, self._taught(run.labels))
        if run.labels == "shuffled":
            return np.asarray(weak[self._key.stream("shuffled", self.name, str(run.seed)).order(len(weak))])
        return weak

    def _taught(self, labels: Labels) -> int:
        usual = self.measure.teacher_examples
        return {"better": self.measure.most_examples, "worse": max(8, round(WORSE_SHARE * usual))}.get(labels, usual)

    @property
    def has_better_teacher(self) -> bool:
        """Are there labelled examples that the teacher does not learn from?"""
        return self.measure.most_examples > self.measure.teacher_examples

    def _note_cut(self) -> None:
        body = {name: {"items": len(part), "sha256": fingerprint(part)} for name, part in self.parts.items()}
        first = self._book.ledger_entry(f"split/{self.name}")
        if first is not None and first.body != body:
            raise ScoringError(
                f"{self.name}: its test set is not the one that this campaign began with, so scores would not be "
                "comparable. Restore its files, or start another campaign."
            )
        self._book.note("split", PLATFORM, f"split/{self.name}", body)
