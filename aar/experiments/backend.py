"""Computes a method's lab calls: requests to the compute actor, on the account that runs the method.

Covers: fits that would visit many times as many rows as the recipe does, and prompts that would have the model read
many times as much as the dataset. Each is refused before anything is queued.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property

import numpy as np

from aar.compute.client import ComputeClient
from aar.compute.requests import (
    Average,
    Embed,
    FineTune,
    LabelOdds,
    LogLikelihoods,
    Predict,
    ProbeHead,
    Request,
    class_probabilities,
)
from aar.compute.store import StoredTexts, count_characters
from aar.errors import AarError, LabError, ModelError, ProblemError, QuotaError
from aar.experiments.broker import RunInfo
from aar.experiments.program_sandbox import ProgramRun
from aar.experiments.program_scheduler import ProgramScheduler
from aar.experiments.validation import FineTuneCall, TrainCall
from aar.models.recipe import XENT, Loss, Pooling, Texts, replica_seed
from aar.problems.prompts import LABEL_TOKENS, candidates, fill, label_prompt, model_texts
from aar.scoring import records
from aar.scoring.records import FitRecipe, TrainingData

MAX_VISITS = 10
"""Rows that one fit may visit, as a multiple of the rows that the recipe visits."""
SMALL_FIT = 2000
"""Rows that every fit may visit, so that a quick check on a few examples refuses nothing that would run."""
MAX_PASSES = 100
"""Readings of all training texts that a run's zero_shot and embed calls may cause together."""
EXTRA_CHARACTERS = 200
"""Characters that a prompt may add to a text without counting as more than one reading."""


class FitLog:
    """Notes the training recipe of a run: its fits, in their order.

    Verification replays it with other labels, to tell a better recipe from better supervision (see
    aar.scoring.verification.controls). Students are named by the handles that the method knows.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._fits: list[FitRecipe] = []
        self._asked: set[int] = set()
        self._made_by_method = False

    @property
    def fits(self) -> tuple[FitRecipe, ...] | None:
        """The fits so far; None once the method has made a student itself, which cannot be replayed."""
        return None if self._made_by_method else tuple(self._fits)

    def fitted(
        self, handle: str, epochs: float, lr: float, base: str | None, loss: Loss = XENT, replica: int = 0
    ) -> None:
        """Note a fit that made the student `handle`, continuing from `base` if there was one."""
        start = None if base is None else self._numbers[base]
        self._numbers[handle] = len(self._fits)
        self._fits.append(FitRecipe(epochs, lr, start, tuple(sorted(self._asked)), loss, replica))
        self._asked.clear()

    def averaged(self, handle: str, students: Sequence[str], shares: Sequence[float]) -> None:
        """Note that the student `handle` is the weighted mean of others."""
        of = tuple((self._numbers[student], share) for student, share in zip(students, shares, strict=True))
        self._numbers[handle] = len(self._fits)
        self._fits.append(FitRecipe(epochs=0, lr=0, average_of=of))

    def made_by_method(self, handle: str) -> None:
        """Note that the method made the student `handle` itself: it trained it by a program, or computed its head."""
        self._made_by_method = True
        self.fitted(handle, epochs=0, lr=0, base=None)

    def asked(self, handle: str) -> None:
        """Note that the method got a student's predictions on the training texts, which may teach its next fit."""
        self._asked.add(self._numbers[handle])

    def number(self, handle: str) -> int:
        """Return the index of the fit that made a student."""
        return self._numbers[handle]


class ModelBackend:
    """Computes the lab calls of one run, by requests to the compute actor. Implements LabBackend.

    The method knows its students by handles that are valid in this run alone.
    """

    def __init__(
        self, task: TrainingData, seed: int, student_model: str, compute: ComputeClient, programs: ProgramScheduler
    ) -> None:
        self._task, self._seed, self._model, self._compute = task, seed, student_model, compute
        self._programs = programs
        self._texts = model_texts(task.examples, task.recipe.form)
        self._labels = LABEL_TOKENS[task.kind]
        self._keys: dict[str, str] = {}
        self._starts: dict[str, str] = {}
        self._log = FitLog()
        self._characters_left = MAX_PASSES * sum(
            EXTRA_CHARACTERS + len(text) for texts in self._texts for text in texts
        )

    def describe(self) -> RunInfo:
        examples, test_examples = (
            [asdict(example) for example in rows] for rows in (self._task.examples, self._task.test_examples)
        )
        task = self._task
        return RunInfo(task.kind, examples, task.weak_labels, self._seed, task.recipe, test_examples)

    def zero_shot(self, template: str | None, labels: tuple[str, str] | None) -> np.ndarray:
        """Return the strong model's own beliefs.

        Without a template, a preference is judged by the likelihood of both texts, and a judgement by the odds of the
        label tokens after the default prompt. With a template, the odds of the label tokens after it decide, for
        preferences averaged over both orders of the responses.
        """
        if template is None and self._task.kind == "preference":
            if labels is not None:
                raise LabError("labels of preferences need a template that asks for one of them")
            texts = tuple(candidates(example) for example in self._task.examples)
            likelihoods = self._run(LogLikelihoods(self._model, self._read(texts), self._task.recipe.max_tokens))
            return class_probabilities(likelihoods[:, 1] - likelihoods[:, 0])
        prompts = self._read(self._prompts(template))
        odds = self._run(LabelOdds(self._model, prompts, labels or self._labels, self._task.recipe.max_tokens))
        return class_probabilities(odds[:, 0] if odds.shape[1] == 1 else (odds[:, 0] - odds[:, 1]) / 2)

    def embed(self, layer: float | tuple[float, ...], pool: Pooling) -> np.ndarray:
        texts = tuple(candidates(example) for example in self._task.examples)
        return self._run(Embed(self._model, self._read(texts), layer, self._task.recipe.max_tokens, pool))

    def fine_tune(self, request: FineTuneCall) -> str:
        recipe, n = self._task.recipe, len(self._texts)
        changes = {"epochs": request.epochs or recipe.epochs, "lr": request.lr or recipe.lr}
        weights = np.ones(n, np.float32) if request.weights is None else request.weights
        rows = np.arange(n) if request.order is None else request.order
        rows = rows[weights[rows] > 0]
        _check_visits(len(rows) * changes["epochs"], n * recipe.epochs)
        fit = FineTune(
            model=self._model,
            texts=self._stored_texts,
            labels=self._labels,
            recipe=recipe.model_copy(update=changes),
            targets=request.targets[:, 1],
            weights=weights,
            rows=rows,
            shuffle=request.order is None,
            loss=request.loss,
            seed=replica_seed(self._seed, request.replica),
            start=None if request.base is None else self.key(request.base),
        )
        with _as_lab_errors(QuotaError):
            key = self._compute.train(fit)
        start = f"replica {request.replica}" if request.base is None else self._starts[request.base]
        handle = self._named(key, start)
        self._log.fitted(
            handle, changes["epochs"], changes["lr"], request.base, loss=request.loss, replica=request.replica
        )
        return handle

    def head(self, weight: np.ndarray, bias: float) -> str:
        recipe = self._task.recipe
        if recipe.form != "scalar_head":
            raise LabError(
                f'a head is a student of the form "scalar_head"; the recipe of this problem is "{recipe.form}"'
            )
        with _as_lab_errors(ModelError, QuotaError):
            key = self._compute.train(ProbeHead(self._model, self._labels, recipe, weight, bias))
        handle = self._named(key, f"head {len(self._keys)}")
        self._log.made_by_method(handle)
        return handle

    def average(self, students: tuple[str, ...], shares: tuple[float, ...]) -> str:
        starts = {self._starts[student] for student in students}
        if len(starts) > 1:
            raise LabError(
                "only students of one start can be averaged: fits with the same replica, and their continuations. "
                "Vary `order`, the targets or the weights instead; or average predictions."
            )
        request = Average(self._model, tuple(self.key(student) for student in students), shares)
        with _as_lab_errors(ModelError, QuotaError):
            key = self._compute.train(request)
        handle = self._named(key, starts.pop())
        self._log.averaged(handle, students, shares)
        return handle

    def train(self, call: TrainCall) -> str:
        recipe, described = self._task.recipe, self.describe()
        run = ProgramRun(
            source=call.source,
            ranks=call.ranks,
            arrays=call.arrays,
            examples=described.examples,
            kind=described.kind,
            seed=self._seed,
            weak_labels=described.weak_labels,
            texts=self._texts,
            recipe=recipe,
            labels=self._labels,
        )
        with _as_lab_errors(ModelError, QuotaError):
            key = self._programs.student(run, self._model, self._compute.account)
        handle = self._named(key, f"program {len(self._keys)}")
        self._log.made_by_method(handle)
        return handle

    def predict(self, student: str, rows: np.ndarray | None) -> np.ndarray:
        probabilities = class_probabilities(self._run(Predict(self._model, self._stored_texts, self.key(student))))
        self._log.asked(student)
        return probabilities if rows is None else probabilities[rows]

    def predict_test(self, student: str) -> np.ndarray:
        key, texts = self.key(student), model_texts(self._task.test_examples, self._task.recipe.form)
        return class_probabilities(self._run(Predict(self._model, self._put(texts), key)))

    def _named(self, key: str, start: str) -> str:
        """Return a new handle for a student, of which `start` says from which random weights it began."""
        handle = f"student-{len(self._keys) + 1}"
        self._keys[handle], self._starts[handle] = key, start
        return handle

    def key(self, handle: str) -> str:
        """Return the key of the student that the method knows by `handle`."""
        if handle not in self._keys:
            raise LabError(f"this run has no student {handle[:80]!r}")
        return self._keys[handle]

    def trained(self, returned: str | np.ndarray) -> records.RunOutput:
        """Return the output of a run whose method returned a student, by its handle, or predictions."""
        if not isinstance(returned, str):
            return records.RunOutput(None, self._log.fits, predictions=returned)
        return records.RunOutput(self.key(returned), self._log.fits, self._log.number(returned))

    @cached_property
    def _stored_texts(self) -> StoredTexts:
        return self._put(self._texts)

    def _put(self, texts: Texts) -> StoredTexts:
        with _as_lab_errors(QuotaError):
            return self._compute.put(texts)

    def _read(self, texts: Texts) -> StoredTexts:
        """Store texts for the model to read. Raises LabError when the run may not have it read that much more."""
        characters = count_characters(texts)
        if characters > self._characters_left:
            raise LabError(
                f"this call needs {characters:,} characters of model input, and {self._characters_left:,} remain in "
                "the run's budget. Make fewer calls of zero_shot and embed, or use shorter templates."
            )
        self._characters_left -= characters
        return self._put(texts)

    def _run(self, request: Request) -> np.ndarray:
        with _as_lab_errors(ModelError, QuotaError):
            return self._compute.run(request)

    def _prompts(self, template: str | None) -> tuple[tuple[str, ...], ...]:
        if template is None:
            return tuple((label_prompt(example),) for example in self._task.examples)
        try:
            return tuple(fill(example, template) for example in self._task.examples)
        except ProblemError as error:
            raise LabError(str(error)) from None


@contextmanager
def _as_lab_errors(*errors: type[AarError]) -> Iterator[None]:
    """Turn these errors, which the method itself caused, into LabErrors for it."""
    try:
        yield
    except errors as error:
        raise LabError(str(error)) from None


def _check_visits(visits: float, visits_of_recipe: float) -> None:
    maximum = max(MAX_VISITS * visits_of_recipe, SMALL_FIT)
    if visits > maximum:
        raise LabError(
            f"this fit would visit {visits:,.0f} rows; at most {maximum:,.0f} are allowed, {MAX_VISITS} times as many "
            "as the recipe visits. Use fewer epochs or a shorter order."
        )
