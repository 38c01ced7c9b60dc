"""One dataset as the scorer holds it: ground truth, the two splits of the test set, and measurements on them.

Only the scorer creates one. Measurements are stored; model calls are requests to the compute actor, so nothing is
computed twice.

Predictions that a method submits are checked first. Covers: predictions that are not numbers, not finite, not
probabilities, of a wrong length or far too long. Each is refused with a ScoringError that says what was expected.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from aar.config import PLATFORM, CampaignConfig, DatasetConfig
from aar.errors import ScoringError
from aar.problems.dataset import Split
from aar.problems.loading import load_dataset
from aar.scoring.draws import dev_and_sealed, fingerprint
from aar.scoring.evaluator import Evaluator, correct
from aar.scoring.records import DEV, SEALED, ExperimentRun, Labels, RunOutput, TrainingData
from aar.scoring.stats.pgr import Correctness
from aar.scoring.store import ScoreStore


def checked_predictions(values: np.ndarray, items: int) -> np.ndarray:
    """Convert (items,) labels or (items, 2) probabilities to (items,) bool: class 1 is predicted.

    Raises:
        ScoringError: `values` is anything else.
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
    """Return the SHA-256 of (items,) predicted classes."""
    return hashlib.sha256(np.packbits(predicted.astype(bool)).tobytes() + str(predicted.size).encode()).hexdigest()


TEACHER, CEILING = "teacher", "ceiling"
PRIOR, SIGNED_PRIOR = "prior", "prior, sign by teacher"
"""The untrained student, and the same turned round where it mostly contradicts the teacher: one bit of supervision."""
WORSE_SHARE = 0.25
"""The worse teacher learns from this share of the teacher's examples; the better one from all examples."""


class HeldOutDataset:
    """A dataset with its hidden splits."""

    def __init__(self, config: CampaignConfig, dataset: DatasetConfig, store: ScoreStore, compute: Any) -> None:
        """Raises ScoringError when the test set is not the one that this campaign began with."""
        self.name, self.role, self.recipe = dataset.name, dataset.role, config.problem.recipe_for(dataset)
        self._shows_inputs, self._store = config.scoring.protocol == "predictions", store
        self._key = store.key()
        self.data = load_dataset(dataset, self._key)
        self.evaluator = Evaluator(config.problem, dataset, self.data, compute)
        dev, sealed = dev_and_sealed(
            self.data.test, config.scoring.dev_share, self._key.derived("dataset", dataset.name)
        )
        self.splits = {DEV: dev, SEALED: sealed}
        self._record_splits()

    async def task(self, run: ExperimentRun, split: str) -> TrainingData:
        """Return the data that the method may see in this run."""
        unlabelled = self.data.train_unlabel
        weak = await self._weak_labels(unlabelled, run)
        test_examples = self.splits[split].examples if self._shows_inputs else ()
        return TrainingData(self.data.kind, unlabelled.examples, weak, self.recipe, test_examples)

    async def measure_ends(self, split: str, weak_seeds: tuple[int, ...], ceiling_seeds: tuple[int, ...]) -> None:
        """Store the correctness of teacher and ceiling on a split of the test set."""
        test = self.splits[split]
        weak = {seed: correct(await self.evaluator.weak_labels(test, seed), test) for seed in weak_seeds}
        self._store.save_correctness(self.name, split, TEACHER, weak)
        keys = await asyncio.gather(*(self.evaluator.ceiling(seed) for seed in ceiling_seeds))
        await self.measure_students(split, CEILING, dict(zip(ceiling_seeds, keys, strict=True)))

    async def measure_priors(self, split: str, seeds: tuple[int, ...]) -> None:
        """Store the correctness of the untrained student on a split of the test set, and with each teacher's sign."""
        test, unlabelled = self.splits[split], self.data.train_unlabel
        says_1, own = await self.evaluator.prior(test) > 0, await self.evaluator.prior(unlabelled) > 0
        signed: dict[int, np.ndarray] = {}
        for seed in seeds:
            weak = await self.evaluator.weak_labels(unlabelled, seed)
            contradicts = ((weak[:, 1] > 0.5) == own).mean() < 0.5
            signed[seed] = (says_1 ^ contradicts) == (test.labels == 1)
        self._store.save_correctness(self.name, split, PRIOR, dict.fromkeys(seeds, says_1 == (test.labels == 1)))
        self._store.save_correctness(self.name, split, SIGNED_PRIOR, signed)

    async def measure_students(self, split: str, model: str, students: Mapping[int, str]) -> None:
        """Store the correctness of a model's students, by seed, on a split of the test set."""
        await self.measure_outputs(split, model, {seed: RunOutput(key) for seed, key in students.items()})

    async def measure_outputs(self, split: str, model: str, outputs: Mapping[int, RunOutput]) -> dict[int, str]:
        """Store the correctness of one model's runs; return the digests of their predictions, by seed.

        Raises ScoringError when submitted predictions cannot be scored.
        """
        test = self.splits[split]
        predictions = await asyncio.gather(*(self._predictions(output, test) for output in outputs.values()))
        by_seed = dict(zip(outputs, predictions, strict=True))
        self._store.save_correctness(
            self.name, split, model, {seed: predicted == (test.labels == 1) for seed, predicted in by_seed.items()}
        )
        return {seed: predictions_digest(predicted) for seed, predicted in by_seed.items()}

    def correctness(self, split: str, model: str) -> Correctness:
        """Return the correctness of a model. Raises ScoringError when it was not measured."""
        correctness = self._store.correctness(self.name, split, model)
        if correctness is None:
            raise ScoringError(f"{self.name}: {model} was not measured on {split}")
        return correctness

    async def _predictions(self, output: RunOutput, test: Split) -> np.ndarray:
        """Return (n,) bool: class 1 is predicted."""
        if output.student is None:
            submitted = np.empty(0) if output.predictions is None else output.predictions
            return checked_predictions(submitted, len(test))
        probabilities = await self.evaluator.predictions(output.student, test)
        return np.asarray(probabilities[:, 1] > probabilities[:, 0])

    async def _weak_labels(self, examples: Split, run: ExperimentRun) -> np.ndarray:
        weak = await self.evaluator.weak_labels(examples, run.seed, self._teacher_examples(run.labels))
        if run.labels == "shuffled":
            return np.asarray(weak[self._key.stream("shuffled", self.name, str(run.seed)).order(len(weak))])
        return weak

    def _teacher_examples(self, labels: Labels) -> int:
        usual = self.evaluator.teacher_examples
        return {"better": self.evaluator.most_examples, "worse": max(8, round(WORSE_SHARE * usual))}.get(labels, usual)

    @property
    def has_better_teacher(self) -> bool:
        """True if there are labelled examples that the usual teacher does not learn from."""
        return self.evaluator.most_examples > self.evaluator.teacher_examples

    def _record_splits(self) -> None:
        body = {name: {"items": len(part), "sha256": fingerprint(part)} for name, part in self.splits.items()}
        first = self._store.ledger_entry(f"split/{self.name}")
        if first is not None and first.body != body:
            raise ScoringError(
                f"{self.name}: its test set is not the one that this campaign began with, so scores would not be "
                "comparable. Restore its files, or start another campaign."
            )
        self._store.append_to_ledger("split", PLATFORM, f"split/{self.name}", body)
