"""What can be measured on one dataset: the teacher, the ceiling, and any student, against hidden labels.

Holds ground truth and test inputs; only the scorer makes one. Every model call is a request to the compute actor, so
that what was measured once is not computed again.
"""

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from aar.compute.client import AsyncComputeClient
from aar.compute.requests import Embed, FineTune, Predict, TextLosses, class_probabilities
from aar.compute.store import StoredTexts
from aar.config import DatasetConfig, ProblemConfig
from aar.models.data import Form
from aar.models.recipe import Recipe
from aar.problems.dataset import Dataset, Example, Split
from aar.problems.prompts import LABEL_TOKENS, model_texts
from aar.scoring.records import FitRecipe

INVERSE_REGULARISATION = 100.0


class Evaluator:
    """Measurements on `dataset`, with models and recipe of `problem`."""

    def __init__(self, problem: ProblemConfig, config: DatasetConfig, dataset: Dataset, compute: Any) -> None:
        self._problem, self._compute = problem, AsyncComputeClient(compute)
        self._recipe = problem.recipe_for(config)
        self._dataset = dataset
        self._stored: dict[tuple[Form, tuple[Example, ...]], StoredTexts] = {}

    async def weak_labels(self, split: Split, seed: int, examples: int | None = None) -> np.ndarray:
        """(n, 2) float32 class probabilities by the teacher of `seed`, taught by `examples`, or as many as usual."""
        rows = self._taught_rows(seed, examples or self.teacher_examples)
        if self._problem.teacher.kind == "causal_lm":
            return await self._causal_teacher(split, seed, rows)
        return await self._encoder_teacher(split, rows)

    @property
    def teacher_examples(self) -> int:
        """How many labelled examples the teacher learns from."""
        return self._problem.teacher.examples or self.most_examples

    @property
    def most_examples(self) -> int:
        """How many labelled examples there are."""
        return len(self._dataset.train_label)

    async def ceiling(self, seed: int) -> str:
        """Key of the student fine-tuned on ground truth."""
        split = self._dataset.train_unlabel
        return await self._train(self._problem.student.model, self._recipe, split, split.labels, seed)

    async def fine_tune(self, targets: np.ndarray, fit: FitRecipe, start: str | None, seed: int) -> str:
        """Key of the student fine-tuned on `train_unlabel` with (n,) `targets` as a method's `fit` was."""
        recipe = self._recipe.model_copy(update={"epochs": fit.epochs, "lr": fit.lr})
        model, split = self._problem.student.model, self._dataset.train_unlabel
        return await self._train(model, recipe, split, targets, seed, start)

    async def predictions(self, student: str, split: Split) -> np.ndarray:
        """(n, 2) float32 class probabilities by the student."""
        texts = await self._texts(split, self._recipe.form)
        return class_probabilities(await self._compute.run(Predict(self._problem.student.model, texts, student)))

    async def text_losses(self, texts: tuple[str, ...], student: str | None) -> np.ndarray:
        """(n,) nats per token of each text, by a student as a language model, or by the untrained model."""
        stored = await self._compute.put(tuple((text,) for text in texts))
        return await self._compute.run(TextLosses(self._problem.student.model, stored, student))

    async def teacher_correct(self, split: Split, seed: int) -> np.ndarray:
        """(n,) bool: the teacher's more probable class is the true one."""
        return correct(await self.weak_labels(split, seed), split)

    async def _encoder_teacher(self, split: Split, rows: np.ndarray) -> np.ndarray:
        taught = self._dataset.train_label
        # A preference has no side that is better by itself: without an intercept, swapping the texts swaps the answer.
        sided = self._dataset.kind == "binary"
        head = LogisticRegression(C=INVERSE_REGULARISATION, fit_intercept=sided, max_iter=5000)
        head.fit((await self._features(taught))[rows], taught.labels[rows])
        probabilities: np.ndarray = head.predict_proba(await self._features(split)).astype(np.float32)
        return probabilities

    async def _features(self, split: Split) -> np.ndarray:
        """(n, d) what the linear head sees: the embedding, or for a preference the difference second - first."""
        texts = await self._texts(split, "scalar_head")
        vectors = await self._compute.run(Embed(self._problem.teacher.model, texts, None, self._recipe.max_tokens))
        return vectors[:, 0] if vectors.shape[1] == 1 else vectors[:, 1] - vectors[:, 0]

    async def _causal_teacher(self, split: Split, seed: int, rows: np.ndarray) -> np.ndarray:
        teacher, taught = self._problem.teacher, self._dataset.train_label
        part = Split(tuple(taught.examples[row] for row in rows), taught.labels[rows])
        student = await self._train(teacher.model, teacher.recipe, part, part.labels, seed)
        texts = await self._texts(split, teacher.recipe.form)
        return class_probabilities(await self._compute.run(Predict(teacher.model, texts, student)))

    async def _texts(self, split: Split, form: Form) -> StoredTexts:
        """The texts that a model of this form reads of a split, stored at the first call."""
        key = (form, split.examples)
        if key not in self._stored:
            self._stored[key] = await self._compute.put(model_texts(split.examples, form))
        return self._stored[key]

    def _taught_rows(self, seed: int, wanted: int) -> np.ndarray:
        """Which labelled rows this seed's teacher learns from; one that is taught more learns from these too."""
        return np.sort(np.random.default_rng(seed).permutation(self.most_examples)[:wanted])

    async def _train(
        self, model: str, recipe: Recipe, split: Split, targets: np.ndarray, seed: int, start: str | None = None
    ) -> str:
        request = FineTune(
            model=model,
            texts=await self._texts(split, recipe.form),
            labels=LABEL_TOKENS[self._dataset.kind],
            recipe=recipe,
            targets=targets.astype(np.float32),
            weights=np.ones(len(split), np.float32),
            rows=np.arange(len(split)),
            shuffle=True,
            loss="xent",
            seed=seed,
            start=start,
        )
        return await self._compute.train(request)


def correct(probabilities: np.ndarray, split: Split) -> np.ndarray:
    """(n, 2) -> (n,) bool: the more probable class is the true one; a tie counts as class 0."""
    return np.asarray((probabilities[:, 1] > probabilities[:, 0]) == (split.labels == 1))
