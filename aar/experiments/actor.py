"""Experiments: one method each, run in a sandbox once for each seed that the scorer drew, then scored.

The actor stands between the two planes. It hands method code training texts and weak labels through the broker, turns
lab calls into requests to the compute actor, and gives the returned students to the scorer. One actor serves a whole
campaign, so that sandboxes can wait for methods; it keeps nothing, and experiments that it was running when it was
killed are run again.
"""

import logging
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import ray
from ray.actor import ActorHandle

from aar.commons.foreign import Foreign
from aar.config import CampaignConfig
from aar.errors import LabError, MethodError
from aar.experiments.backend import ComputeClient, ModelBackend
from aar.experiments.broker import RunBudget
from aar.experiments.method_sandbox import method_pool, run_method
from aar.experiments.program_scheduler import ProgramScheduler
from aar.experiments.progress import Progress
from aar.experiments.quick_check import check_method, slice_of
from aar.ray_utils import COMMONS, COMPUTE, EXPERIMENTS, SCORER, get, get_actor, log_to_ray
from aar.sandbox import Limits, provider
from aar.sandbox.decoys import METHODS
from aar.scoring import records
from aar.scoring.records import TrainingData

log = logging.getLogger(__name__)

METHOD_FILE = "method.py"
EXPERIMENTS_AT_ONCE = 100
TICKETS = "experiments/"
"""How the tickets of runs begin (see `Compute.withdraw`)."""
CANCELLED = "cancelled by its researcher"


class Experiments:
    """Runs the experiments of one campaign, each in sandboxes of its own, several at a time."""

    def __init__(self, config: CampaignConfig) -> None:
        log_to_ray()
        self._config = config
        self._commons, self._scorer, self._compute = get_actor(COMMONS), get_actor(SCORER), get_actor(COMPUTE)
        self._compute.withdraw.remote(TICKETS)  # runs of this actor's process before this one are gone
        self._followed: dict[str, Progress] = {}
        limits = Limits.from_config(config.sandbox)
        self._programs = ProgramScheduler(config, self._compute, self._scorer)
        beside: dict[str, bytes] = get(self._scorer.decoys.remote(METHODS))
        self._pool = method_pool(provider(config.sandbox.provider), limits, size=config.scoring.seeds, decoys=beside)

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
            known: records.Experiment = get(self._scorer.experiment.remote(record.id))
            return known if known.status != "running" else self._run_all(known)

    def log(self, experiment: str) -> str:
        """What an experiment's method has printed, by the runs that have ended since this actor started."""
        return self._progress(experiment).log()

    def cancel(self, experiment: str) -> records.Experiment:
        """End an experiment as failed; what runs for it is stopped. One that has ended stays as it is."""
        record: records.Experiment = get(self._scorer.fail.remote(experiment, CANCELLED))
        if record.failure == Foreign(CANCELLED):
            log.info("%s by %s: cancelled", record.id, record.researcher)
            self._progress(experiment).cancel()
        return record

    def check(self, source: bytes, account: str) -> str:
        """Run a method once on a small slice of the research dataset; how it went, in words. It is not scored."""
        known: list[records.Experiment] = get(self._scorer.experiments.remote())
        reference = next((one for one in known if one.is_reference), None)
        if reference is None:
            raise LabError("the baselines are not measured yet; check again when they are")
        run = reference.runs[0]
        part = slice_of(get(self._scorer.task.remote(reference.id, run)))
        began = time.monotonic()
        try:
            with self._backend(part, run.seed, account) as backend:
                return check_method(source, part, backend, self._pool, self._allowance(), owner=account)
        finally:
            log.info("quick check for %s: %.1f s", account, time.monotonic() - began)

    def _progress(self, experiment: str) -> Progress:
        return self._followed.setdefault(experiment, Progress())  # atomic, unlike a defaultdict

    def _run_all(self, record: records.Experiment) -> records.Experiment:
        began = time.monotonic()
        log.info("%s by %s: %d runs of snapshot %.10s", record.id, record.researcher, len(record.runs), record.snapshot)
        ended = self._ended(record)
        log.info("%s by %s: %s after %.1f s", record.id, record.researcher, ended.status, time.monotonic() - began)
        return ended

    def _ended(self, record: records.Experiment) -> records.Experiment:
        try:
            source = self._source(record)
            with ThreadPoolExecutor(len(record.runs)) as threads:
                ended = threads.map(lambda run: self._run(record, source, run), record.runs)
                trained = dict(zip(record.runs, ended, strict=True))
        except MethodError as error:
            failed: records.Experiment = get(self._scorer.fail.remote(record.id, str(error)))
            return failed
        scored: records.Experiment = get(self._scorer.score.remote(record.id, trained))
        return scored

    def _source(self, record: records.Experiment) -> bytes:
        files: dict[str, bytes] = get(self._commons.checkout.remote(record.snapshot))
        if METHOD_FILE not in files:
            raise MethodError(f"the snapshot has no {METHOD_FILE}; put supervise(lab) into a file of that name")
        return files[METHOD_FILE]

    def _run(self, record: records.Experiment, source: bytes, run: records.ExperimentRun) -> records.RunOutput:
        """One run, in a sandbox of its own."""
        task: TrainingData = get(self._scorer.task.remote(record.id, run))
        owner = record.researcher if record.verification_of is None else records.PLATFORM
        seen, began = self._progress(record.id).of(run), time.monotonic()
        log.info("%s by %s: run on %s, seed %d begins", record.id, owner, run.dataset, run.seed)
        with self._backend(task, run.seed, owner) as backend:
            returned = run_method(source, backend, self._pool, self._allowance(), observer=seen, owner=owner)
            trained = backend.trained(returned)
        seconds = time.monotonic() - began
        log.info("%s by %s: run on %s, seed %d ended after %.1f s", record.id, owner, run.dataset, run.seed, seconds)
        return trained

    @contextmanager
    def _backend(self, task: TrainingData, seed: int, account: str) -> Iterator[ModelBackend]:
        """Answers one run's lab calls; what they ask of the compute actor ends with the run."""
        asker = ComputeClient(self._compute, account, f"{TICKETS}{uuid.uuid4().hex}")
        try:
            yield ModelBackend(task, seed, self._config.problem.student.model, asker, self._programs)
        finally:
            self._compute.withdraw.remote(asker.ticket)

    def _allowance(self) -> RunBudget:
        programs = self._config.programs
        return RunBudget(self._config.budget.fits_per_method, programs.per_method, programs.ranks)


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
    get(experiments.ping.remote())  # others look it up by name
    return experiments
