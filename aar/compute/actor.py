"""The compute actor: a queue of requests in front of one long-lived Ray Train job.

Starting a Ray Train job costs more than training a small student. So the job starts once, and its workers take
requests from here, several students at a time where they can share the base model. Results are artifacts: what was
computed once, by anyone, is never computed again, and a request that is already under way is waited for. Whose turn it
is decides `aar.compute.queue`.

Covers: an account that asks for too much at once, or for more device time than it has left, estimated from what
requests have taken so far; a caller who is gone, whose requests leave the queue and end on the worker.
"""

import asyncio
import logging
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.actor import ActorHandle

from aar import metrics
from aar.budget import Resources, StorageQuota, UsageStore, limits_of
from aar.compute.queue import Queue
from aar.compute.requests import FineTune, Request
from aar.compute.store import Artifacts
from aar.config import CampaignConfig, ComputeConfig, ResearcherConfig
from aar.errors import AarError, ComputeError, StorageError, TrainingError, WithdrawnError
from aar.ray_utils import COMPUTE, get, log_to_ray, start_actor
from aar.text import fitted_line

log = logging.getLogger(__name__)

PLATFORM = "platform"
"""The account of what no researcher asked for."""
MOST_WAITING = 256
"""Calls of one researcher that may wait at a time."""
CALLS_AT_ONCE = 10_000
KEPT_FREE = 1000
"""Of CALLS_AT_ONCE, for workers and everybody else who does not wait."""
MOST_FAILURES = 100
"""How often workers may die before they are not started again by themselves."""
LONG_POLL_SECONDS = 5.0
LOGGED_CHARACTERS = 300


@dataclass(frozen=True)
class InFlight:
    """When a worker took a request, and how many it took together."""

    since: float
    together: int


@dataclass
class Throughput:
    """Answered requests, all together: how fast workers are is decided by where their time went, and not by how many
    requests of a kind there were.
    """

    seconds: float = 0.0
    cost: float = 0.0

    def add(self, seconds: float, cost: float) -> None:
        """One more was answered."""
        self.seconds, self.cost = self.seconds + seconds, self.cost + cost

    def seconds_of(self, cost: float) -> float:
        """What a cost will take; 0 before anything was measured."""
        return cost * self.seconds / self.cost if self.cost else 0.0

    def cost_of(self, seconds: float) -> float | None:
        """What took so long has cost; None before anything was measured."""
        return seconds * self.cost / self.seconds if self.seconds else None


class Compute:
    """Answers requests by artifact, or by queueing them for the workers."""

    def __init__(self, config: CampaignConfig, folder: str) -> None:
        log_to_ray()
        self._campaign, self._config, self._folder = config, config.compute, Path(folder)
        self._artifacts = Artifacts(self._folder / "artifacts")
        self._queue = Queue(config.compute.workers)
        self._arrived = asyncio.Event()
        self._answers: dict[str, asyncio.Future[None]] = {}
        self._callers: Counter[str] = Counter()
        self._begun: dict[str, InFlight] = {}
        self._measured = Throughput()
        self._spend, self._storage = UsageStore(self._folder), StorageQuota(self._folder)
        self._incarnation = 0
        self._computed = 0
        self._fits: set[str] = set()
        self._stopping = False
        self._job: threading.Thread | None = None

    def __repr__(self) -> str:
        return COMPUTE

    async def run(self, request: Request, account: str = PLATFORM, ticket: str = "") -> str:
        """The key under which `fetch` gives the request's result, once there is one.

        Args:
            account: the researcher to whom device time and storage are charged, if it has to be computed.
            ticket: under which `withdraw` says that the caller no longer waits; "": it always does.

        Raises:
            QuotaError: what is kept for that researcher is full.
            ModelError, TrainingError: the workers cannot answer it, or the account may not ask for it, and why.
            ComputeError: there are no workers any more.
            StorageError: the result could not be kept.
        """
        key = request.key()
        if self._artifacts.has(key):
            log.info("%s %.12s for %s: computed before", _kind(request), key, account)
            return self._given(key, request)
        self._storage.check(account, "results")
        self._check_calls(account)
        if key not in self._answers:
            self._check_device_time(account, request)
            self._start_job()
            self._answers[key] = asyncio.get_running_loop().create_future()
        self._queue.add(key, request, account, ticket)
        self._arrived.set()
        log.info("%s %.12s for %s: queued; %d wait, %d run", _kind(request), key, account, *self._queue.counts)
        self._export_queue()
        self._callers[account] += 1
        try:
            await asyncio.shield(self._answers[key])
        finally:
            self._callers[account] -= 1
        return self._given(key, request)

    async def withdraw(self, ticket: str) -> None:
        """Those whose tickets begin with this wait no longer. What nobody waits for is not computed, or ends."""
        for key in self._queue.withdraw(ticket):
            log.info("request %.12s: withdrawn, nobody waits for it", key)
            self._export_queue()
            self._refuse(key, WithdrawnError("nobody waits for this request any more"))

    async def fetch(self, key: str) -> bytes:
        """A result, or texts. Raises TrainingError when nothing is stored under this key."""
        data = await self.kept(key)
        if data is None:
            raise TrainingError(
                f"there are neither results nor texts with key {key[:12]}; they were removed from the campaign's "
                "artifacts, or never put there"
            )
        return data

    async def has(self, key: str) -> bool:
        """True if a result or texts are stored under this key."""
        return self._artifacts.has(key)

    async def kept(self, key: str) -> bytes | None:
        """The result with this key, or None."""
        return self._artifacts.get(key)

    async def keep(self, key: str, data: bytes, account: str = PLATFORM) -> None:
        """Keep texts, or a result that was not computed by the workers, on this account.

        Raises:
            QuotaError: what is kept for that researcher is full.
            StorageError: the disk refuses.
        """
        self._storage.hold(account, "results", key, len(data))
        self._artifacts.put(key, data)

    async def charge(self, account: str, key: str, used: Resources) -> None:
        """Charge device time that was used beside the workers; the same key again charges nothing."""
        self._spend.add(account, key, amounts=used)

    async def status(self) -> dict[str, int]:
        """Counts of requests: waiting, with a worker, computed since this actor started."""
        waiting, running = self._queue.counts
        return {"waiting": waiting, "running": running, "computed": self._computed}

    async def fits_given(self) -> int:
        """The number of students that callers were given since this actor started, computed or known."""
        return len(self._fits)

    async def stop(self) -> None:
        """Let the workers end after what they are doing."""
        self._stopping = True
        self._arrived.set()

    async def join(self) -> int:
        """A worker group starts: what an earlier one had taken goes back into the queue. Returns its number."""
        self._incarnation = time.time_ns()
        log.info("workers start: %d to serve %d requests that wait", self._config.workers, self._queue.counts[0])
        for item in self._queue.workers_died():
            kind = _kind(item.request)
            log.warning("%s %.12s for %s: %d workers died over it", kind, item.key, item.account, item.deaths)
            what = f"{item.deaths} workers died over this {kind} request"
            self._refuse(item.key, TrainingError(f"{what}; their logs say why, and often it is memory"))
        self._arrived.set()
        return self._incarnation

    async def take(self, incarnation: int) -> list[str] | None:
        """Keys of work for a worker; an empty list when there is none yet, None when it should end."""
        until = time.monotonic() + LONG_POLL_SECONDS
        while (left := until - time.monotonic()) > 0:
            if self._stopping or incarnation != self._incarnation:
                return None
            if items := self._queue.take():
                began = InFlight(time.monotonic(), len(items))
                self._begun |= {item.key: began for item in items}
                self._export_queue()
                return [item.key for item in items]
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), left)
            except TimeoutError:
                break
        return []

    async def requests(self, keys: list[str]) -> list[Request]:
        """The requests with these keys, which a worker has taken."""
        return [self._queue.request(key) for key in keys]

    async def wanted(self, keys: list[str]) -> bool:
        """Does anybody still wait for one of these?"""
        return any(self._queue.is_wanted(key) for key in keys)

    async def answered(self, results: dict[str, bytes]) -> None:
        """Results from a worker."""
        for key, data in results.items():
            self._storage.note(self._queue.account(key) or PLATFORM, "results", key, len(data))
            self._leave(key, answered=True)
            try:
                self._artifacts.put(key, data)
            except StorageError as error:
                self._refuse(key, error)
                continue
            self._computed += 1
            if key in self._answers:
                self._answers.pop(key).set_result(None)

    async def failed(self, keys: list[str], error: AarError) -> None:
        """Requests that a worker cannot answer. One that was withdrawn, and is asked for again, waits again."""
        for key in keys:
            if isinstance(error, WithdrawnError) and self._queue.give_back(key):
                self._arrived.set()
                continue
            self._leave(key, answered=False)
            self._refuse(key, error)

    def _check_calls(self, account: str) -> None:
        """However many wait, workers must be heard: raise TrainingError when these are too many."""
        if account != PLATFORM and self._callers[account] >= MOST_WAITING:
            raise TrainingError(f"{MOST_WAITING} requests of {account} wait already; ask for fewer at a time")
        if self._callers.total() >= CALLS_AT_ONCE - KEPT_FREE:
            raise TrainingError(f"{CALLS_AT_ONCE - KEPT_FREE} requests wait already; ask again later")

    def _check_device_time(self, account: str, request: Request) -> None:
        """Raise TrainingError when the account has not as much device time left as this will take, as far as known."""
        if account == PLATFORM or not self._measured.cost:
            return
        cost = request.cost()
        known = {one.name: one for one in self._campaign.researchers}
        researcher = known.get(account) or ResearcherConfig(name=account)
        for limit in limits_of(researcher, self._campaign, self._spend):
            pending = self._queue.pending_cost(account if limit.scope == account else None)
            wanted = self._device_seconds(self._measured.seconds_of(cost + pending))
            needed = {"cpu_seconds": wanted.cpu_seconds, "gpu_seconds": wanted.gpu_seconds}.get(limit.what, 0.0)
            if needed > limit.left:
                raise TrainingError(
                    f"with what waits already this would take about {needed:.0f} {limit.what.replace('_', ' ')}, and "
                    f"{limit.left:.0f} are left ({limit.describe()}). Ask for less."
                )

    def _device_seconds(self, seconds: float) -> Resources:
        workers = self._config.workers if self._config.zero_stage else 1
        return Resources(
            cpu_seconds=seconds * workers * self._config.cpus_per_worker,
            gpu_seconds=seconds * workers * self._config.gpus_per_worker,
        )

    def _leave(self, key: str, *, answered: bool) -> None:
        """A request leaves the queue: charge the time since a worker took it, shared by what was taken together."""
        begun = self._begun.pop(key, None)
        seconds = (time.monotonic() - begun.since) / begun.together if begun else 0.0
        item = self._queue.done(key, self._measured.cost_of(seconds) if begun else None)
        self._arrived.set()
        self._export_queue()
        if item is None or begun is None:
            return
        log.info("%s %.12s for %s: %.1f s", _kind(item.request), key, item.account, seconds)
        metrics.REQUESTS.add(kind=_kind(item.request), status="answered" if answered else "failed")
        metrics.REQUEST_SECONDS.add(seconds, kind=_kind(item.request))
        if answered:  # one that failed, or was withdrawn, was not computed whole
            self._measured.add(seconds, item.cost)
        attempt = f"compute/{key}/{time.time_ns()}"  # one that was computed in vain may be computed, and cost, again
        self._spend.add(item.account, attempt, amounts=self._device_seconds(seconds))

    def _given(self, key: str, request: Request) -> str:
        if isinstance(request, FineTune):
            self._fits.add(key)
        return key

    def _export_queue(self) -> None:
        for status, count in zip(("waiting", "running"), self._queue.counts, strict=True):
            metrics.QUEUE.set(count, status=status)

    def _refuse(self, key: str, error: AarError) -> None:
        log.info("request %.12s: refused: %s", key, fitted_line(str(error), LOGGED_CHARACTERS))
        if key in self._answers:
            self._answers.pop(key).set_exception(error)

    def _start_job(self) -> None:
        if self._job is None:
            loop = asyncio.get_running_loop()
            handle = ray.get_runtime_context().current_actor
            self._job = threading.Thread(target=self._run_job, args=(loop, handle), daemon=True)
            self._job.start()

    def _run_job(self, loop: asyncio.AbstractEventLoop, handle: ActorHandle[Any]) -> None:
        from ray.train import TrainingFailedError

        message = "the training workers could not be started; the compute actor's log says why"
        try:
            self._fit(handle)
            message = "the training workers have ended"
        except TrainingFailedError as error:
            message = f"the training workers failed and were not started again: {error}"
        finally:
            loop.call_soon_threadsafe(self._refuse_all, ComputeError(message))

    def _fit(self, handle: ActorHandle[Any]) -> None:
        import ray.train.torch

        from aar.compute.worker import MeetingConfig, train_loop

        config = self._config
        ray.train.torch.TorchTrainer(
            train_loop,
            train_loop_config={"compute": handle, "zero_stage": config.zero_stage, "precision": config.precision},
            torch_config=MeetingConfig(),
            scaling_config=ray.train.ScalingConfig(
                num_workers=config.workers,
                use_gpu=config.gpus_per_worker > 0,
                resources_per_worker=_resources(config),
            ),
            run_config=ray.train.RunConfig(
                name=f"training-{uuid.uuid4().hex[:8]}",
                storage_path=str(self._folder / "ray-train"),
                failure_config=ray.train.FailureConfig(max_failures=MOST_FAILURES),
            ),
        ).fit()

    def _refuse_all(self, error: ComputeError) -> None:
        for key in {*self._queue.clear(), *self._answers}:
            self._refuse(key, error)
        self._begun.clear()
        self._job = None


def _kind(request: Request) -> str:
    return type(request).__name__


def _resources(config: ComputeConfig) -> dict[str, float]:
    gpus = {"GPU": config.gpus_per_worker} if config.gpus_per_worker > 0 else {}
    return {"CPU": config.cpus_per_worker, **gpus}


def _environment() -> dict[str, str]:
    """What Ray Train has to find in the variables of its own actors.

    When a compute actor is killed, a detached actor of Ray Train frees the CPUs and GPUs that its workers had reserved.
    It asks the cluster that RAY_ADDRESS names. Without that it gives up where a machine runs several clusters: the CPUs
    stay reserved, and the workers that replace the killed ones wait for them forever.
    """
    return {
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
        "RAY_ADDRESS": ray.get_runtime_context().gcs_address,
    }


def start_compute(config: CampaignConfig, folder: Path, namespace: str) -> ActorHandle[Any]:
    """The campaign's compute actor, ready to be asked; it lives as long as the campaign's driver."""
    options = {"max_concurrency": CALLS_AT_ONCE, "runtime_env": {"env_vars": _environment()}}
    compute = start_actor(Compute, COMPUTE, namespace, config, str(folder), **options)
    get(compute.status.remote())  # others look it up by name
    return compute
