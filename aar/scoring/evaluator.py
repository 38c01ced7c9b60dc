"""Measurements on one dataset: the teacher, the ceiling, and any student, against hidden labels.

It holds ground truth and test inputs, so only the scorer creates one. Every model call is a request to the compute
actor, which answers repeated requests from its artifacts.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from aar.compute.client import AsyncComputeClient
from aar.compute.requests import (
    Average,
    Embed,
    FineTune,
    LabelOdds,
    LogLikelihoods,
    Predict,
    TextLosses,
    class_probabilities,
)
from aar.compute.store import StoredTexts
from aar.config import DatasetConfig, ProblemConfig
from aar.models.recipe import XENT, Form, Loss, Recipe, replica_seed
from aar.problems.dataset import Dataset, Example, Split
from aar.problems.prompts import LABEL_TOKENS, model_texts
from aar.scoring.records import FitRecipe

INVERSE_REGULARISATION = 100.0


class Evaluator:
    """Measures models on `dataset`, with the models and the recipe of `problem`."""

    def __init__(self, problem: ProblemConfig, config: DatasetConfig, dataset: Dataset, compute: Any) -> None:
        self._problem, self._compute = problem, AsyncComputeClient(compute)
        self._recipe = problem.recipe_for(config)
        self._dataset = dataset
        self._stored: dict[tuple[Form, tuple[Example, ...]], StoredTexts] = {}

    async def weak_labels(self, split: Split, seed: int, examples: int | None = None) -> np.ndarray:
        """Return (n, 2) float32 class probabilities by the teacher of `seed`.

        Args:
            examples: how many labelled examples the teacher learns from; by default, the usual number. With more, it
                learns from the same ones and others.
        """
        rows = self._teacher_rows(seed, examples or self.teacher_examples)
        if self._problem.teacher.kind == "causal_lm":
            return await self._causal_teacher(split, seed, rows)
        return await self._encoder_teacher(split, rows)

    @property
    def teacher_examples(self) -> int:
        """The usual number of labelled examples for the teacher."""
        return self._problem.teacher.examples or self.most_examples

    @property
    def most_examples(self) -> int:
        """The number of all labelled examples."""
        return len(self._dataset.train_label)

    async def ceiling(self, seed: int) -> str:
        """Fine-tune the student on ground truth; return its key."""
        split = self._dataset.train_unlabel
        return await self._train(self._problem.student.model, self._recipe, split, split.labels, seed)

    async def fine_tune(self, targets: np.ndarray, fit: FitRecipe, start: str | None, seed: int) -> str:
        """Fine-tune a student on `train_unlabel` with (n,) `targets` by a method's recipe `fit`; return its key."""
        recipe = self._recipe.model_copy(update={"epochs": fit.epochs, "lr": fit.lr})
        model, split = self._problem.student.model, self._dataset.train_unlabel
        return await self._train(model, recipe, split, targets, replica_seed(seed, fit.replica), start, fit.loss)

    async def average(self, students: Sequence[str], shares: Sequence[float]) -> str:
        """Return the key of the weighted mean of students."""
        return await self._compute.train(Average(self._problem.student.model, tuple(students), tuple(shares)))

    async def predictions(self, student: str, split: Split) -> np.ndarray:
        """Return (n, 2) float32 class probabilities by the student."""
        texts = await self._texts(split, self._recipe.form)
        return class_probabilities(await self._compute.run(Predict(self._problem.student.model, texts, student)))

    async def prior(self, split: Split) -> np.ndarray:
        """Return (n,) log-odds of class 1 by the untrained student: what `lab.zero_shot()` rests on.

        Those of single texts are centred at their median, because an untrained model favours one answer.
        """
        model, tokens = self._problem.student.model, self._recipe.max_tokens
        if self._dataset.kind == "preference":
            sums = await self._compute.run(LogLikelihoods(model, await self._texts(split, "scalar_head"), tokens))
            return np.asarray(sums[:, 1] - sums[:, 0])
        texts = await self._texts(split, "label_token")
        odds = (await self._compute.run(LabelOdds(model, texts, LABEL_TOKENS["binary"], tokens)))[:, 0]
        return np.asarray(odds - np.median(odds))

    async def text_losses(self, texts: tuple[str, ...], student: str | None) -> np.ndarray:
        """Return (n,) nats per token of each text, by a student as a language model, or by the untrained model."""
        stored = await self._compute.put(tuple((text,) for text in texts))
        return await self._compute.run(TextLosses(self._problem.student.model, stored, student))

    async def _encoder_teacher(self, split: Split, rows: np.ndarray) -> np.ndarray:
        labelled = self._dataset.train_label
        # Neither side of a preference is better by itself: without an intercept, swapping the texts swaps the answer.
        intercept = self._dataset.kind == "binary"
        head = LogisticRegression(C=INVERSE_REGULARISATION, fit_intercept=intercept, max_iter=5000)
        head.fit((await self._features(labelled))[rows], labelled.labels[rows])
        probabilities: np.ndarray = head.predict_proba(await self._features(split)).astype(np.float32)
        return probabilities

    async def _features(self, split: Split) -> np.ndarray:
        """Return (n, d) inputs of the linear head: the embedding, or for a preference the difference second - first."""
        texts = await self._texts(split, "scalar_head")
        vectors = await self._compute.run(Embed(self._problem.teacher.model, texts, None, self._recipe.max_tokens))
        return vectors[:, 0] if vectors.shape[1] == 1 else vectors[:, 1] - vectors[:, 0]

    async def _causal_teacher(self, split: Split, seed: int, rows: np.ndarray) -> np.ndarray:
        teacher, labelled = self._problem.teacher, self._dataset.train_label
        chosen = Split(tuple(labelled.examples[row] for row in rows), labelled.labels[rows])
        student = await self._train(teacher.model, teacher.recipe, chosen, chosen.labels, seed)
        texts = await self._texts(split, teacher.recipe.form)
        return class_probabilities(await self._compute.run(Predict(teacher.model, texts, student)))

    async def _texts(self, split: Split, form: Form) -> StoredTexts:
        """Return a split's texts as a model of this form reads them; the first call stores them."""
        key = (form, split.examples)
        if key not in self._stored:
            self._stored[key] = await self._compute.put(model_texts(split.examples, form))
        return self._stored[key]

    def _teacher_rows(self, seed: int, count: int) -> np.ndarray:
        """Choose the labelled rows for this seed's teacher; a larger count includes the rows of a smaller one."""
        return np.sort(np.random.default_rng(seed).permutation(self.most_examples)[:count])

    async def _train(
        self,
        model: str,
        recipe: Recipe,
        split: Split,
        targets: np.ndarray,
        seed: int,
        start: str | None = None,
        loss: Loss = XENT,
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
            loss=loss,
            seed=seed,
            start=start,
        )
        return await self._compute.train(request)


def correct(probabilities: np.ndarray, split: Split) -> np.ndarray:
    """(n, 2) -> (n,) bool: the more probable class is the true one; a tie counts as class 0."""
    return np.asarray((probabilities[:, 1] > probabilities[:, 0]) == (split.labels == 1))
