"""The compute actor: a queue of requests in front of one long-lived Ray Train job.

Starting a Ray Train job takes longer than training a small student. So the job starts once, and its workers take
requests from here, several students at a time where they can share the base model. Results are artifacts: nothing is
computed twice for any callers, and equal requests wait for the same result. `aar.compute.queue` decides which request
is next.

Covers: an account that asks for too much at once, or for more device time than it has left, estimated from what
requests have taken so far; a caller that is gone, whose requests leave the queue and end on the worker.
"""

import asyncio
import functools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
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
from aar.config import PLATFORM, CampaignConfig, ComputeConfig
from aar.errors import AarError, ComputeError, StorageError, TrainingError, WithdrawnError
from aar.ray_utils import COMPUTE, get, log_to_ray, start_actor
from aar.text import fitted_line

log = logging.getLogger(__name__)

MAX_WAITING = 256
"""Pending calls of one researcher, at most."""
MAX_CALLS = 10_000
RESERVED_CALLS = 1000
"""The part of MAX_CALLS that is reserved for workers and for calls that return at once."""
LONG_POLL_SECONDS = 5.0
LOGGED_CHARACTERS = 300

OnEnd = Callable[[ComputeError], None]
"""Called on the actor's event loop when there are no more workers, with the reason."""


@dataclass(frozen=True)
class InFlight:
    """When a worker took a request, and how many it took together."""

    since: float
    together: int


@dataclass
class Throughput:
    """Sums over all answered requests, of every kind: the speed of workers is measured where their time goes."""

    seconds: float = 0.0
    cost: float = 0.0

    def add(self, seconds: float, cost: float) -> None:
        """Count one more answered request."""
        self.seconds, self.cost = self.seconds + seconds, self.cost + cost

    def seconds_of(self, cost: float) -> float:
        """Return how long a cost will take; 0 before anything was measured."""
        return cost * self.seconds / self.cost if self.cost else 0.0

    def cost_of(self, seconds: float) -> float | None:
        """Return the cost of work that took this long; None before anything was measured."""
        return seconds * self.cost / self.seconds if self.seconds else None


class Compute:
    """Answers requests by artifact, or by queueing them for the workers.

    Args:
        start_workers: starts the training workers, for which requests are waiting; None: as a Ray Train job.
        clock: monotonic seconds, to time the requests on workers.
    """

    def __init__(
        self,
        config: CampaignConfig,
        folder: str,
        start_workers: Callable[[OnEnd], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        log_to_ray()
        self._campaign, self._config, self._folder = config, config.compute, Path(folder)
        self._artifacts = Artifacts(self._folder / "artifacts")
        self._queue = Queue(config.compute.workers)
        self._arrived = asyncio.Event()
        self._answers: dict[str, asyncio.Future[None]] = {}
        self._callers: Counter[str] = Counter()
        self._in_flight: dict[str, InFlight] = {}
        self._measured = Throughput()
        self._spend, self._storage = UsageStore(self._folder), StorageQuota(self._folder)
        self._generation = 0
        self._computed = 0
        self._fits: set[str] = set()
        self._stopping = False
        self._has_workers = False
        self._start_workers = start_workers or functools.partial(start_training_job, self._config, self._folder)
        self._clock = clock

    def __repr__(self) -> str:
        return COMPUTE

    async def run(self, request: Request, account: str = PLATFORM, ticket: str = "") -> str:
        """Wait for the result of a request, and return its key, under which `get` returns it.

        Args:
            account: the researcher to whom device time and storage are charged, if it has to be computed.
            ticket: names the caller for `withdraw`, which ends its wait; "": it always waits.

        Raises:
            QuotaError: that researcher's storage is full.
            ModelError, TrainingError: the workers cannot answer it, or the account may not ask for it, and why.
            ComputeError: there are no workers any more.
            StorageError: the result could not be stored.
        """
        key = request.key()
        if self._artifacts.has(key):
            log.info("%s %.12s for %s: computed before", _kind(request), key, account)
            return self._delivered(key, request)
        self._storage.check(account, "results")
        self._check_calls(account)
        if key not in self._answers:
            self._check_device_time(account, request)
            self._ensure_workers()
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
        return self._delivered(key, request)

    async def withdraw(self, ticket: str) -> None:
        """Callers whose tickets begin with `ticket` no longer wait. Requests without a caller leave, or are ended."""
        for key in self._queue.withdraw(ticket):
            log.info("request %.12s: withdrawn, no caller is waiting for it", key)
            self._export_queue()
            self._refuse(key, WithdrawnError("cancelled: no caller is waiting for this request"))

    async def get(self, key: str) -> bytes:
        """Return a result, or texts. Raises TrainingError when nothing is stored under this key."""
        data = self._artifacts.get(key)
        if data is None:
            raise TrainingError(
                f"there are neither results nor texts with key {key[:12]}; they were removed from the campaign's "
                "artifacts, or never put there"
            )
        return data

    async def has(self, key: str) -> bool:
        """True if a result or texts are stored under this key."""
        return self._artifacts.has(key)

    async def put(self, key: str, data: bytes, account: str = PLATFORM) -> None:
        """Store texts, or a result that the workers did not compute, on this account.

        Raises:
            QuotaError: that researcher's storage is full.
            StorageError: the disk refuses.
        """
        self._storage.hold(account, "results", key, len(data))
        self._artifacts.put(key, data)

    async def charge(self, account: str, key: str, used: Resources) -> None:
        """Charge device time that was used outside the workers. A key is charged once."""
        self._spend.add(account, key, resources=used)

    async def status(self) -> dict[str, int]:
        """Return counts of requests: waiting, with a worker, computed since this actor started."""
        waiting, running = self._queue.counts
        return {"waiting": waiting, "running": running, "computed": self._computed}

    async def fits_given(self) -> int:
        """Return the number of students that callers got since this actor started, computed by it or before."""
        return len(self._fits)

    async def stop(self) -> None:
        """Let the workers end after their current requests."""
        self._stopping = True
        self._arrived.set()

    async def register_workers(self) -> int:
        """Requeue what an earlier group of workers had taken, and return the number of the group that starts now."""
        self._generation = time.time_ns()
        log.info("workers start: %d to serve %d pending requests", self._config.workers, self._queue.counts[0])
        for item in self._queue.workers_died():
            kind = _kind(item.request)
            log.warning("%s %.12s for %s: %d workers died over it", kind, item.key, item.account, item.deaths)
            deaths = f"{item.deaths} workers died while running this {kind} request"
            self._refuse(item.key, TrainingError(f"{deaths}; see their logs (often they were out of memory)"))
        self._arrived.set()
        return self._generation

    async def next_batch(self, generation: int) -> list[str] | None:
        """Return the keys of requests for a worker: none when nothing waits yet, None when the worker should end."""
        until = time.monotonic() + LONG_POLL_SECONDS
        while (left := until - time.monotonic()) > 0:
            if self._stopping or generation != self._generation:
                return None
            if items := self._queue.next_batch():
                taken = InFlight(self._clock(), len(items))
                self._in_flight |= {item.key: taken for item in items}
                self._export_queue()
                return [item.key for item in items]
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), left)
            except TimeoutError:
                break
        return []

    async def requests(self, keys: list[str]) -> list[Request]:
        """Return the requests with these keys, which a worker has taken."""
        return [self._queue.request(key) for key in keys]

    async def is_wanted(self, keys: list[str]) -> bool:
        """True if a caller still waits for one of these."""
        return any(self._queue.is_wanted(key) for key in keys)

    async def complete(self, results: dict[str, bytes]) -> None:
        """Store results from a worker, and hand them to their callers."""
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

    async def fail(self, keys: list[str], error: AarError) -> None:
        """Refuse requests that a worker cannot answer. One that was withdrawn and has a caller again is requeued."""
        for key in keys:
            if isinstance(error, WithdrawnError) and self._queue.give_back(key):
                self._arrived.set()
                continue
            self._leave(key, answered=False)
            self._refuse(key, error)

    def _check_calls(self, account: str) -> None:
        """Raise TrainingError if too many calls are pending: those of workers must still get through."""
        if account != PLATFORM and self._callers[account] >= MAX_WAITING:
            raise TrainingError(
                f"{account} already has {MAX_WAITING} pending requests, the maximum; submit fewer at a time"
            )
        if self._callers.total() >= MAX_CALLS - RESERVED_CALLS:
            raise TrainingError(f"the queue is full ({MAX_CALLS - RESERVED_CALLS} pending requests); retry later")

    def _check_device_time(self, account: str, request: Request) -> None:
        """Raise TrainingError when this would probably take more device time than the account has left."""
        if account == PLATFORM or not self._measured.cost:
            return
        cost = request.cost()
        for limit in limits_of(self._campaign.researcher(account), self._campaign, self._spend):
            pending = self._queue.pending_cost(account if limit.scope == account else None)
            estimate = self._device_seconds(self._measured.seconds_of(cost + pending))
            needed = {"cpu_seconds": estimate.cpu_seconds, "gpu_seconds": estimate.gpu_seconds}.get(limit.what, 0.0)
            if needed > limit.left:
                raise TrainingError(
                    f"this and the pending requests need about {needed:.0f} {limit.what.replace('_', ' ')}, and "
                    f"{limit.left:.0f} are left ({limit.describe()}). Submit a smaller request."
                )

    def _device_seconds(self, seconds: float) -> Resources:
        workers = self._config.workers if self._config.zero_stage else 1
        return Resources(
            cpu_seconds=seconds * workers * self._config.cpus_per_worker,
            gpu_seconds=seconds * workers * self._config.gpus_per_worker,
        )

    def _leave(self, key: str, *, answered: bool) -> None:
        """Take a request out of the queue, and charge its share of the time since a worker took it with others."""
        taken = self._in_flight.pop(key, None)
        seconds = (self._clock() - taken.since) / taken.together if taken else 0.0
        item = self._queue.remove(key, self._measured.cost_of(seconds) if taken else None)
        self._arrived.set()
        self._export_queue()
        if item is None or taken is None:
            return
        log.info("%s %.12s for %s: %.1f s", _kind(item.request), key, item.account, seconds)
        metrics.REQUESTS.add(kind=_kind(item.request), status="answered" if answered else "failed")
        metrics.REQUEST_SECONDS.add(seconds, kind=_kind(item.request))
        if answered:  # the cost is that of the whole request, and one that failed or was withdrawn was done in part
            self._measured.add(seconds, item.cost)
        attempt = f"compute/{key}/{time.time_ns()}"  # a request that failed may be computed, and charged, again
        self._spend.add(item.account, attempt, resources=self._device_seconds(seconds))

    def _delivered(self, key: str, request: Request) -> str:
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

    def _ensure_workers(self) -> None:
        if not self._has_workers:
            self._has_workers = True
            self._start_workers(self._workers_ended)

    def _workers_ended(self, error: ComputeError) -> None:
        for key in {*self._queue.clear(), *self._answers}:
            self._refuse(key, error)
        self._in_flight.clear()
        self._has_workers = False


def start_training_job(config: ComputeConfig, folder: Path, on_end: OnEnd) -> None:
    """Start the Ray Train job that serves this compute actor, in a thread."""
    loop, handle = asyncio.get_running_loop(), ray.get_runtime_context().current_actor

    def job() -> None:
        from aar.compute.worker import train  # imports torch, which only this thread needs

        train(handle, config, folder)

    def report(error: ComputeError) -> None:
        loop.call_soon_threadsafe(on_end, error)

    threading.Thread(target=run_until_end, args=(job, report), daemon=True).start()


def run_until_end(job: Callable[[], None], on_end: OnEnd) -> None:
    """Run the training workers, and report that they have ended, however they do."""
    from ray.train import TrainingFailedError

    message = "the training workers could not be started; the compute actor's log says why"
    try:
        job()
        message = "the training workers have ended"
    except TrainingFailedError as error:
        message = f"the training workers failed and were not started again: {error}"
    finally:
        on_end(ComputeError(message))


def _kind(request: Request) -> str:
    return type(request).__name__


def _environment() -> dict[str, str]:
    """Return the environment variables that Ray Train's own actors need.

    When a compute actor is killed, a detached actor of Ray Train frees the CPUs and GPUs that its workers had reserved.
    It asks the cluster that RAY_ADDRESS names. Without that it gives up where a machine runs several clusters: the CPUs
    stay reserved, and the workers that replace the killed ones wait for them forever.
    """
    return {
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
        "RAY_ADDRESS": ray.get_runtime_context().gcs_address,
    }


def start_compute(config: CampaignConfig, folder: Path, namespace: str) -> ActorHandle[Any]:
    """Start the campaign's compute actor and return it once it serves; it lives as long as the campaign's driver."""
    options = {"max_concurrency": MAX_CALLS, "runtime_env": {"env_vars": _environment()}}
    compute = start_actor(Compute, COMPUTE, namespace, config, str(folder), **options)
    get(compute.status.remote())  # other actors look it up by name
    return compute
