"""Experiments: one method each, run in a sandbox once for each seed that the scorer drew, then scored.

The actor stands between the two planes. It hands method code training texts and weak labels through the broker, turns
lab calls into requests to the compute actor, and gives the returned students to the scorer. One actor serves a whole
campaign, so that sandboxes can wait for methods; it keeps nothing, and experiments that it was running when it was
killed are run again.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import ray
from ray.actor import ActorHandle

from aar.config import CampaignConfig
from aar.errors import AarError, LabError, MethodError, ModelError, ProblemError, QuotaError
from aar.lab.broker import Allowance, Description
from aar.lab.check import check_method, slice_of
from aar.lab.fit_log import FitLog
from aar.lab.method_process import method_pool, run_method
from aar.lab.programs import Programs
from aar.lab.progress import Progress
from aar.lab.requests import FineTuneCall, TrainCall
from aar.lab.training import ProgramRun
from aar.problems.prompts import LABEL_TOKENS, candidates, fill, label_prompt
from aar.problems.texts import model_texts
from aar.remote import COMMONS, COMPUTE, EXPERIMENTS, SCORER, named, result
from aar.sandbox import Limits, provider
from aar.sandbox.decoys import decoys
from aar.scoring import records
from aar.scoring.task import Task
from aar.training.arrays import class_probabilities
from aar.training.asking import ask_and_wait, train_and_wait
from aar.training.requests import Embed, FineTune, LabelOdds, LogLikelihoods, Predict, Request

METHOD_FILE = "method.py"
EXPERIMENTS_AT_ONCE = 100
CANCELLED = "cancelled by its researcher"


class ModelBackend:
    """What a method's lab calls do for one seed: requests to the compute actor. Implements LabBackend.

    Students are known to the method by a handle that means something in this run alone. Device time is charged to
    the researcher's account.
    """

    def __init__(
        self, task: Task, seed: int, student_model: str, compute: ActorHandle[Any], programs: Programs, account: str
    ) -> None:
        self._task, self._seed, self._model, self._compute = task, seed, student_model, compute
        self._programs, self._account = programs, account
        self._texts = model_texts(task.examples, task.recipe.form)
        self._labels = LABEL_TOKENS[task.kind]
        self._keys: dict[str, str] = {}
        self._log = FitLog()

    def describe(self) -> Description:
        examples, shown = (
            [asdict(example) for example in rows] for rows in (self._task.examples, self._task.test_examples)
        )
        return Description(self._task.kind, examples, self._task.weak_labels, self._seed, shown)

    def zero_shot(self, template: str | None) -> np.ndarray:
        """The strong model's own belief.

        Without a template, for preferences: which of the two texts it finds likelier; for judgements: the odds of the
        label tokens after the usual prompt. With a template: the odds of the label tokens after it, for preferences
        averaged over both orders of the responses.
        """
        if template is None and self._task.kind == "preference":
            texts = tuple(candidates(example) for example in self._task.examples)
            likelihoods = self._ask(LogLikelihoods(self._model, texts, self._task.recipe.max_tokens))
            return class_probabilities(likelihoods[:, 1] - likelihoods[:, 0])
        odds = self._ask(LabelOdds(self._model, self._prompts(template), self._labels, self._task.recipe.max_tokens))
        return class_probabilities(odds[:, 0] if odds.shape[1] == 1 else (odds[:, 0] - odds[:, 1]) / 2)

    def embed(self, layer: int) -> np.ndarray:
        texts = tuple(candidates(example) for example in self._task.examples)
        return self._ask(Embed(self._model, texts, layer, self._task.recipe.max_tokens))

    def fine_tune(self, request: FineTuneCall) -> str:
        recipe, n = self._task.recipe, len(self._texts)
        changes = {"epochs": request.epochs or recipe.epochs, "lr": request.lr or recipe.lr}
        weights = np.ones(n, np.float32) if request.weights is None else request.weights
        rows = np.arange(n) if request.order is None else request.order
        rows = rows[weights[rows] > 0]
        wanted = FineTune(
            model=self._model,
            texts=self._texts,
            labels=self._labels,
            recipe=recipe.model_copy(update=changes),
            targets=request.targets[:, 1],
            weights=weights,
            rows=rows,
            shuffle=request.order is None,
            loss=request.loss,
            seed=self._seed,
            start=None if request.base is None else self.key(request.base),
        )
        with _told(QuotaError):
            key = train_and_wait(self._compute, wanted, self._account)
        handle = f"student-{len(self._keys) + 1}"
        self._log.fitted(handle, changes["epochs"], changes["lr"], request.base)
        self._keys[handle] = key
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
        with _told(ModelError, QuotaError):
            key = self._programs.student(run, self._model, self._account)
        handle = f"student-{len(self._keys) + 1}"
        self._log.trained_by_program(handle)
        self._keys[handle] = key
        return handle

    def predict(self, student: str, rows: np.ndarray | None) -> np.ndarray:
        probabilities = class_probabilities(self._ask(Predict(self._model, self._texts, self.key(student))))
        self._log.asked(student)
        return probabilities if rows is None else probabilities[rows]

    def predict_test(self, student: str) -> np.ndarray:
        texts = model_texts(self._task.test_examples, self._task.recipe.form)
        return class_probabilities(self._ask(Predict(self._model, texts, self.key(student))))

    def key(self, handle: str) -> str:
        """The key of the student that the method knows by `handle`."""
        if handle not in self._keys:
            raise LabError(f"this run has no student {handle[:80]!r}")
        return self._keys[handle]

    def trained(self, returned: str | np.ndarray) -> records.Trained:
        """What the run ended with: the method has returned a student, by its handle, or predictions."""
        if not isinstance(returned, str):
            return records.Trained(None, self._log.fits, predictions=returned)
        return records.Trained(self.key(returned), self._log.fits, self._log.number(returned))

    def _ask(self, request: Request) -> np.ndarray:
        with _told(ModelError, QuotaError):
            return ask_and_wait(self._compute, request, self._account)

    def _prompts(self, template: str | None) -> tuple[tuple[str, ...], ...]:
        if template is None:
            return tuple((label_prompt(example),) for example in self._task.examples)
        try:
            return tuple(fill(example, template) for example in self._task.examples)
        except ProblemError as error:
            raise LabError(str(error)) from None


@contextmanager
def _told(*errors: type[AarError]) -> Iterator[None]:
    """These errors are the method's own doing, and told to it."""
    try:
        yield
    except errors as error:
        raise LabError(str(error)) from None


class Experiments:
    """Runs the experiments of one campaign, each in sandboxes of its own, several at a time."""

    def __init__(self, config: CampaignConfig) -> None:
        self._config = config
        self._commons, self._scorer, self._compute = named(COMMONS), named(SCORER), named(COMPUTE)
        self._followed: dict[str, Progress] = {}
        limits = Limits.from_config(config.sandbox)
        self._programs = Programs(config, self._compute)
        self._pool = method_pool(
            provider(config.sandbox.provider), limits, size=config.scoring.seeds, decoys=decoys(config.name)
        )

    def __repr__(self) -> str:
        return EXPERIMENTS

    def ping(self) -> None:
        """Return when the actor serves."""

    def run(self, record: records.Experiment) -> records.Experiment:
        """Run an admitted experiment's method on every dataset and seed and have it scored; returns how it ended.

        Whoever asks for one that runs already waits for it.

        Raises:
            AarError: the platform failed, not the method; the experiment is still running and can be run again.
        """
        with self._progress(record.id).turn:
            known: records.Experiment = result(self._scorer.experiment.remote(record.id))
            return known if known.status != "running" else self._run_all(known)

    def log(self, experiment: str) -> str:
        """What an experiment's method has printed, by the runs that have ended since this actor started."""
        return self._progress(experiment).log()

    def cancel(self, experiment: str) -> records.Experiment:
        """End an experiment as failed; what runs for it is stopped. One that has ended stays as it is."""
        record: records.Experiment = result(self._scorer.fail.remote(experiment, CANCELLED))
        if record.failure == CANCELLED:
            self._progress(experiment).cancel()
        return record

    def check(self, source: bytes, account: str) -> str:
        """Run a method once on a small slice of the research dataset; how it went, in words. It is not scored."""
        known: list[records.Experiment] = result(self._scorer.experiments.remote())
        reference = next((one for one in known if one.is_reference), None)
        if reference is None:
            raise LabError("the baselines are not measured yet; check again when they are")
        run = reference.runs[0]
        part = slice_of(result(self._scorer.task.remote(reference.id, run)))
        backend = self._backend(part, run.seed, account)
        return check_method(source, part, backend, self._pool, self._allowance(), owner=account)

    def _progress(self, experiment: str) -> Progress:
        return self._followed.setdefault(experiment, Progress())  # atomic, unlike a defaultdict

    def _run_all(self, record: records.Experiment) -> records.Experiment:
        try:
            source = self._source(record)
            with ThreadPoolExecutor(len(record.runs)) as threads:
                ended = threads.map(lambda run: self._run(record, source, run), record.runs)
                trained = dict(zip(record.runs, ended, strict=True))
        except MethodError as error:
            failed: records.Experiment = result(self._scorer.fail.remote(record.id, str(error)))
            return failed
        scored: records.Experiment = result(self._scorer.score.remote(record.id, trained))
        return scored

    def _source(self, record: records.Experiment) -> bytes:
        files: dict[str, bytes] = result(self._commons.checkout.remote(record.snapshot))
        if METHOD_FILE not in files:
            raise MethodError(f"the snapshot has no {METHOD_FILE}; put supervise(lab) into a file of that name")
        return files[METHOD_FILE]

    def _run(self, record: records.Experiment, source: bytes, run: records.Run) -> records.Trained:
        """One run, in a sandbox of its own."""
        task: Task = result(self._scorer.task.remote(record.id, run))
        owner = record.researcher if record.verifies is None else records.PLATFORM
        backend, seen = self._backend(task, run.seed, owner), self._progress(record.id).of(run)
        return backend.trained(run_method(source, backend, self._pool, self._allowance(), observer=seen, owner=owner))

    def _backend(self, task: Task, seed: int, account: str) -> ModelBackend:
        model = self._config.problem.student.model
        return ModelBackend(task, seed, model, self._compute, self._programs, account)

    def _allowance(self) -> Allowance:
        programs = self._config.programs
        return Allowance(self._config.budget.fits_per_method, programs.per_method, programs.ranks)


def start_experiments(config: CampaignConfig, namespace: str) -> ActorHandle[Any]:
    """The actor that runs a campaign's experiments; it lives as long as the campaign's driver."""
    actor = ray.remote(Experiments).options(
        name=EXPERIMENTS,
        namespace=namespace,
        num_cpus=0,
        max_concurrency=EXPERIMENTS_AT_ONCE,
        max_restarts=-1,
        max_task_retries=3,
        get_if_exists=True,
    )
    experiments: ActorHandle[Any] = actor.remote(config)
    result(experiments.ping.remote())  # others look it up by name
    return experiments
