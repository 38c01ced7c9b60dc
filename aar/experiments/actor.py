"""Experiments: one method each, run in a sandbox once for each seed that the scorer drew, then scored.

The actor owns every experiment from submission to score: it publishes the method's files, has the scorer admit them,
runs the method, and hands its students to the scorer. It connects the two planes: it gives method code training texts
and weak labels through the broker, and turns lab calls into requests to the compute actor.

It keeps nothing in memory that is not on disk elsewhere. The scorer's records say which experiments are running, so a
new process of this actor resumes them, whichever process was killed.
"""

import logging
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from aar.commons.code_store import files_digest
from aar.commons.foreign import Foreign
from aar.compute.client import ComputeClient
from aar.config import PLATFORM, CampaignConfig
from aar.errors import AarError, MethodError, ScoringError
from aar.experiments.backend import ModelBackend
from aar.experiments.broker import RunBudget
from aar.experiments.method_sandbox import Progress, method_pool, run_method
from aar.experiments.program_scheduler import ProgramScheduler
from aar.experiments.quick_check import check_method, slice_of
from aar.methods import METHOD_FILE
from aar.ray_utils import COMMONS, COMPUTE, EXPERIMENTS, SCORER, get, get_actor, log_to_ray, start_actor
from aar.sandbox import Limits, provider
from aar.sandbox.decoys import METHODS
from aar.scoring import records
from aar.scoring.records import TrainingData

log = logging.getLogger(__name__)

MAX_EXPERIMENTS = 100
MAX_CALLS = 100
"""Calls that are answered at a time, including quick checks."""
MAX_WAITS = 500
"""Calls of `wait` at a time. They have their own concurrency group, so that they cannot block other calls."""
WAITING = "waiting"
TICKETS = "experiments/"
"""The prefix of all runs' tickets (see `Compute.withdraw`)."""
CANCELLED = "cancelled by its researcher"


class Experiments:
    """Runs the experiments of one campaign, several at a time, each in sandboxes of its own."""

    def __init__(self, config: CampaignConfig, resume: bool = False) -> None:
        """resume: run the experiments that an earlier process, of this campaign or of this actor, left running."""
        log_to_ray()
        self._config = config
        self._commons, self._scorer, self._compute = get_actor(COMMONS), get_actor(SCORER), get_actor(COMPUTE)
        self._compute.withdraw.remote(TICKETS)  # runs of this actor's process before this one are gone
        self._followed: dict[str, Progress] = {}
        self._running: dict[str, Future[records.Experiment]] = {}
        self._starting, self._threads = threading.Lock(), ThreadPoolExecutor(MAX_EXPERIMENTS)
        limits = Limits.from_config(config.sandbox)
        self._programs = ProgramScheduler(config, self._compute, self._scorer)
        decoys: dict[str, bytes] = get(self._scorer.decoys.remote(METHODS))
        self._pool = method_pool(provider(config.sandbox.provider), limits, size=config.scoring.seeds, decoys=decoys)
        for record in self._research_experiments() if resume else ():
            self._run(record)

    def __repr__(self) -> str:
        return EXPERIMENTS

    def ping(self) -> None:
        """Return when the actor serves."""

    def submit(
        self, researcher: str, files: Mapping[str, bytes], note: str, key: str, parent: str | None = None
    ) -> records.Experiment:
        """Publish files as a snapshot, have it admitted as an experiment, and start it; return it at once.

        Args:
            files: the method's files, including `method.py`.
            note: one line that describes the experiment.
            key: an idempotency key. A call with a key that was used before returns the same experiment.
            parent: the snapshot on which these files are based.

        Raises:
            UntrustedFileError, CodeStoreError, QuotaError: the files cannot be published.
            ScoringError: it is not admitted, or the key was used for something else.
        """
        digest = files_digest(files)
        publish = self._commons.publish.remote(researcher, dict(files), note, parent, key=f"{key}/publish/{digest}")
        return self.start(researcher, get(publish).id, note, key)

    def start(self, researcher: str, snapshot: str, note: str, key: str) -> records.Experiment:
        """As `submit`, for a snapshot that is already published."""
        admitted: records.Experiment = get(self._scorer.admit.remote(researcher, snapshot, note, key))
        self._run(admitted)
        return admitted

    def status(self, experiment: str) -> records.Experiment:
        """Return an experiment as it is now. If its status is "running" but its process was lost, resume it.

        Raises:
            ScoringError: there is no such experiment.
            AarError: the platform failed, not the method. The experiment is still running; the next call resumes it.
        """
        return self._current(experiment, seconds=0.0)

    @ray.method(concurrency_group=WAITING, max_task_retries=-1)  # type: ignore[untyped-decorator]
    def wait(self, experiment: str, seconds: float | None = None) -> records.Experiment:
        """Return an experiment once it has ended, or after `seconds` (None: no limit). Raises as `status`."""
        return self._current(experiment, seconds)

    def log(self, experiment: str) -> str:
        """Return the output of an experiment's method, of the runs that have ended since this actor started."""
        return self._progress(experiment).log()

    def cancel(self, experiment: str) -> records.Experiment:
        """End an experiment as failed and stop its runs. An experiment that has ended is left as it is."""
        record: records.Experiment = get(self._scorer.fail.remote(experiment, CANCELLED))
        if record.failure == Foreign(CANCELLED):
            log.info("%s by %s: cancelled", record.id, record.researcher)
            self._progress(experiment).cancel()
        return record

    def check(self, source: bytes, account: str) -> str:
        """Run a method once on a small slice of the research dataset, without a score; return a report."""
        reference = next((record for record in self._research_experiments() if record.is_reference), None)
        if reference is None:
            raise ScoringError("the baselines are not measured yet; check again when they are")
        run = reference.runs[0]
        part = slice_of(get(self._scorer.task.remote(reference.id, run)))
        began = time.monotonic()
        try:
            with self._backend(part, run.seed, account) as backend:
                return check_method(source, part, backend, self._pool, self._run_budget(), owner=account)
        finally:
            log.info("quick check for %s: %.1f s", account, time.monotonic() - began)

    def _progress(self, experiment: str) -> Progress:
        return self._followed.setdefault(experiment, Progress())  # atomic, unlike a defaultdict

    def _research_experiments(self) -> list[records.Experiment]:
        """Return the experiments of researchers, and the reference."""
        experiments: list[records.Experiment] = get(self._scorer.experiments.remote())
        return experiments

    def _run(self, record: records.Experiment) -> Future[records.Experiment] | None:
        """Start an experiment that has not ended and does not run yet; return the future of its outcome."""
        if record.status != "running":
            return None
        with self._starting:
            if record.id not in self._running:
                self._running[record.id] = self._threads.submit(self._run_all, record)
            return self._running[record.id]

    def _current(self, experiment: str, seconds: float | None) -> records.Experiment:
        record: records.Experiment = get(self._scorer.experiment.remote(experiment))
        running = self._run(record)
        if running is None or not futures.wait([running], seconds).done:
            return record
        with self._starting:  # the outcome is in the scorer's records, and without one the experiment can be run again
            if self._running.get(experiment) is running:
                del self._running[experiment]
        return running.result()

    def _run_all(self, record: records.Experiment) -> records.Experiment:
        record = get(self._scorer.experiment.remote(record.id))  # it may have ended since its record was read
        if record.status != "running":
            return record
        began = time.monotonic()
        log.info("%s by %s: %d runs of snapshot %.10s", record.id, record.researcher, len(record.runs), record.snapshot)
        try:
            ended = self._ended(record)
        except (AarError, RayError) as error:
            log.warning("%s by %s: the platform failed: %s", record.id, record.researcher, error)
            raise
        log.info("%s by %s: %s after %.1f s", record.id, record.researcher, ended.status, time.monotonic() - began)
        return ended

    def _ended(self, record: records.Experiment) -> records.Experiment:
        try:
            source = self._source(record)
            with ThreadPoolExecutor(len(record.runs)) as threads:
                ended = threads.map(lambda run: self._run_once(record, source, run), record.runs)
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

    def _run_once(self, record: records.Experiment, source: bytes, run: records.ExperimentRun) -> records.RunOutput:
        """Run the method once, in a sandbox of its own."""
        task: TrainingData = get(self._scorer.task.remote(record.id, run))
        owner = record.researcher if record.verification_of is None else PLATFORM
        observer, began = self._progress(record.id).of(run), time.monotonic()
        log.info("%s by %s: run on %s, seed %d begins", record.id, owner, run.dataset, run.seed)
        with self._backend(task, run.seed, owner) as backend:
            returned = run_method(source, backend, self._pool, self._run_budget(), observer=observer, owner=owner)
            trained = backend.trained(returned)
        seconds = time.monotonic() - began
        log.info("%s by %s: run on %s, seed %d ended after %.1f s", record.id, owner, run.dataset, run.seed, seconds)
        return trained

    @contextmanager
    def _backend(self, task: TrainingData, seed: int, account: str) -> Iterator[ModelBackend]:
        """Yield what answers one run's lab calls. Its requests to the compute actor end with the run."""
        client = ComputeClient(self._compute, account, f"{TICKETS}{uuid.uuid4().hex}")
        try:
            yield ModelBackend(task, seed, self._config.problem.student.model, client, self._programs)
        finally:
            self._compute.withdraw.remote(client.ticket)

    def _run_budget(self) -> RunBudget:
        programs = self._config.programs
        return RunBudget(self._config.budget.fits_per_method, programs.per_method, programs.ranks)


def start_experiments(config: CampaignConfig, namespace: str, *, resume: bool) -> ActorHandle[Any]:
    """Start the actor that runs a campaign's experiments; it lives as long as the campaign's driver."""
    options = {
        "max_concurrency": MAX_CALLS,
        "concurrency_groups": {WAITING: MAX_WAITS},
        "max_task_retries": 3,
        "scheduling_strategy": "DEFAULT",  # it does not use the campaign's folder, so it may run on any node
    }
    experiments = start_actor(Experiments, EXPERIMENTS, namespace, config, resume, **options)
    get(experiments.ping.remote())  # other actors look it up by name
    return experiments
