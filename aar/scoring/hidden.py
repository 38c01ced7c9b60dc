"""One dataset as the scorer holds it: ground truth, the two parts of the test set, and what is measured on them.

Only the scorer makes one. Whatever was measured is kept in the scorebook; model calls are requests to the compute
actor, so that what was computed once is not computed again.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np

from aar.config import CampaignConfig, DatasetConfig
from aar.errors import ScoringError
from aar.problems.dataset import Split
from aar.problems.loading import load_dataset
from aar.scoring.measure import Measure, correct
from aar.scoring.pgr import Correctness
from aar.scoring.records import DEV, PLATFORM, SEALED, Labels, Run, Trained
from aar.scoring.scorebook import Scorebook
from aar.scoring.split import cut, fingerprint
from aar.scoring.submission import checked_predictions, predictions_digest
from aar.scoring.task import Task

TEACHER, CEILING = "teacher", "ceiling"
WORSE_SHARE = 0.25
"""The worse teacher learns from this share of the teacher's examples; the better one from all there are."""


class Hidden:
    """A dataset with its hidden parts."""

    def __init__(self, config: CampaignConfig, dataset: DatasetConfig, book: Scorebook, compute: Any) -> None:
        """Raises ScoringError when the test set is not the one that this campaign began with."""
        self.name, self.role, self.recipe = dataset.name, dataset.role, config.problem.recipe_for(dataset)
        self._shows_inputs, self._book = config.scoring.protocol == "predictions", book
        self._key = book.key()
        self.data = load_dataset(dataset, self._key)
        self.measure = Measure(config.problem, dataset, self.data, compute)
        dev, sealed = cut(self.data.test, config.scoring.dev_share, self._key.derived("dataset", dataset.name))
        self.parts = {DEV: dev, SEALED: sealed}
        self._note_cut()

    async def task(self, run: Run, test: str) -> Task:
        """What the method may know in this run."""
        unlabelled = self.data.train_unlabel
        weak = await self._labels(unlabelled, run)
        shown = self.parts[test].examples if self._shows_inputs else ()
        return Task(self.data.kind, unlabelled.examples, weak, self.recipe, shown)

    async def measure_ends(self, test: str, weak_seeds: tuple[int, ...], ceiling_seeds: tuple[int, ...]) -> None:
        """Store who of teacher and ceiling is right on a part of the test set."""
        split = self.parts[test]
        weak = {seed: correct(await self.measure.weak_labels(split, seed), split) for seed in weak_seeds}
        self._book.keep_correctness(self.name, test, TEACHER, weak)
        keys = await asyncio.gather(*(self.measure.ceiling(seed) for seed in ceiling_seeds))
        await self.measure_students(test, CEILING, dict(zip(ceiling_seeds, keys, strict=True)))

    async def measure_students(self, test: str, model: str, students: Mapping[int, str]) -> None:
        """Store who of a model's students is right on a part of the test set."""
        await self.measure_trained(test, model, {seed: Trained(key) for seed, key in students.items()})

    async def measure_trained(self, test: str, model: str, trained: Mapping[int, Trained]) -> dict[int, str]:
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

    async def _predicted(self, trained: Trained, split: Split) -> np.ndarray:
        """(n,) bool, predicted class 1."""
        if trained.student is None:
            handed_in = np.empty(0) if trained.predictions is None else trained.predictions
            return checked_predictions(handed_in, len(split))
        probabilities = await self.measure.predictions(trained.student, split)
        return np.asarray(probabilities[:, 1] > probabilities[:, 0])

    async def _labels(self, split: Split, run: Run) -> np.ndarray:
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
        known = next((one.body for one in self._book.ledger() if one.key == f"split/{self.name}"), None)
        if known not in (None, body):
            raise ScoringError(
                f"{self.name}: its test set is not the one that this campaign began with, so scores would not be "
                "comparable. Restore its files, or start another campaign."
            )
        self._book.note("split", PLATFORM, f"split/{self.name}", body)
