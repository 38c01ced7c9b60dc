"""The compute actor: a queue of requests in front of one long-lived Ray Train job.

Starting a Ray Train job costs more than training a small student. So the job starts once, and its workers take
requests from here, several students at a time where they can share the base model. Results are artifacts: what was
computed once, by anyone, is never computed again, and a request that is already under way is waited for.
"""

import asyncio
import threading
import time
import uuid
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import ray
from ray.actor import ActorHandle

from aar.budget import Amounts, Spend, Storage
from aar.config import ComputeConfig
from aar.errors import AarError, ComputeError, StorageError, TrainingError
from aar.remote import COMPUTE, on_this_node, result
from aar.training.artifacts import Artifacts
from aar.training.requests import FineTune, Request

STUDENTS_AT_ONCE = 4
ATTEMPTS = 3
PLATFORM = "platform"
"""The account of what no researcher asked for."""
LONG_POLL_SECONDS = 5.0
IDLE_POLL_SECONDS = 0.02


class Compute:
    """Answers requests by artifact, or by queueing them for the workers."""

    def __init__(self, config: ComputeConfig, folder: str) -> None:
        self._config, self._folder = config, Path(folder)
        self._artifacts = Artifacts(self._folder / "artifacts")
        self._waiting: OrderedDict[str, Request] = OrderedDict()
        self._taken: dict[str, tuple[int, Request]] = {}
        self._answers: dict[str, asyncio.Future[None]] = {}
        self._accounts: dict[str, str] = {}
        self._begun: dict[str, tuple[float, int]] = {}
        self._spend, self._storage = Spend(self._folder), Storage(self._folder)
        self._deaths: Counter[str] = Counter()
        self._incarnation = 0
        self._computed = 0
        self._stopping = False
        self._job: threading.Thread | None = None

    def __repr__(self) -> str:
        return COMPUTE

    async def run(self, request: Request, account: str = PLATFORM) -> str:
        """The key under which `fetch` gives the request's result, once there is one.

        Args:
            account: the researcher to whom device time and storage are charged, if it has to be computed.

        Raises:
            QuotaError: what is kept for that researcher is full.
            ModelError, TrainingError: the workers cannot answer it, and why.
            ComputeError: there are no workers any more.
            StorageError: the result could not be kept.
        """
        key = request.key()
        if self._artifacts.has(key):
            return key
        self._storage.check(account, "results")
        self._start_job()
        if key not in self._answers:
            self._answers[key] = asyncio.get_running_loop().create_future()
            self._waiting[key] = request
            self._accounts[key] = account
        await asyncio.shield(self._answers[key])
        return key

    async def fetch(self, key: str) -> bytes:
        """A result. Raises TrainingError when there is none with this key."""
        data = await self.kept(key)
        if data is None:
            raise TrainingError(f"there is no result with key {key[:12]}; it was removed from the campaign's artifacts")
        return data

    async def kept(self, key: str) -> bytes | None:
        """The result with this key, or None."""
        return self._artifacts.get(key)

    async def keep(self, key: str, data: bytes, account: str) -> None:
        """Keep a result that was not computed by the workers, for a researcher.

        Raises:
            QuotaError: what is kept for that researcher is full.
            StorageError: the disk refuses.
        """
        self._storage.hold(account, "results", key, len(data))
        self._artifacts.put(key, data)

    async def charge(self, account: str, key: str, used: Amounts) -> None:
        """Charge device time that was used beside the workers; the same key again charges nothing."""
        self._spend.add(account, key, amounts=used)

    async def status(self) -> dict[str, int]:
        """Counts of requests: waiting, with a worker, computed since this actor started."""
        return {"waiting": len(self._waiting), "running": len(self._taken), "computed": self._computed}

    async def stop(self) -> None:
        """Let the workers end after what they are doing."""
        self._stopping = True

    async def join(self) -> int:
        """A worker group starts: what an earlier one had taken goes back into the queue. Returns its number."""
        self._incarnation = time.time_ns()
        for key, (_, request) in list(self._taken.items()):
            self._give_back(key, request)
        return self._incarnation

    async def take(self, incarnation: int) -> list[tuple[str, Request]] | None:
        """Work for a worker; an empty list when there is none yet, None when it should end."""
        until = time.monotonic() + LONG_POLL_SECONDS
        while time.monotonic() < until:
            if self._stopping or incarnation != self._incarnation:
                return None
            if self._waiting:
                return self._take_next(incarnation)
            await asyncio.sleep(IDLE_POLL_SECONDS)
        return []

    async def answered(self, results: dict[str, bytes]) -> None:
        """Results from a worker."""
        for key, data in results.items():
            self._taken.pop(key, None)
            self._storage.note(self._accounts.get(key, PLATFORM), "results", key, len(data))
            self._charge(key)
            try:
                self._artifacts.put(key, data)
            except StorageError as error:
                self._refuse(key, error)
                continue
            self._computed += 1
            if key in self._answers:
                self._answers.pop(key).set_result(None)

    async def failed(self, keys: list[str], error: AarError) -> None:
        """Requests that a worker cannot answer."""
        for key in keys:
            self._taken.pop(key, None)
            self._refuse(key, error)

    def _take_next(self, incarnation: int) -> list[tuple[str, Request]]:
        """The oldest quick request, or else the oldest fine-tuning with its share of those it can be trained with."""
        quick = next((key for key, request in self._waiting.items() if not isinstance(request, FineTune)), None)
        keys = [quick] if quick else self._company(next(iter(self._waiting)))
        work = [(key, self._waiting.pop(key)) for key in keys]
        self._taken.update({key: (incarnation, request) for key, request in work})
        self._begun.update({key: (time.monotonic(), len(work)) for key, _ in work})
        return work

    def _charge(self, key: str) -> None:
        """Charge what a result cost: the time since a worker took it, shared by what was taken together."""
        if key not in self._begun:
            return
        (since, together), config = self._begun.pop(key), self._config
        workers = config.workers if config.zero_stage else 1
        seconds = (time.monotonic() - since) / together * workers
        used = Amounts(cpu_seconds=seconds * config.cpus_per_worker, gpu_seconds=seconds * config.gpus_per_worker)
        self._spend.add(self._accounts.pop(key, PLATFORM), f"compute/{key}", amounts=used)

    def _company(self, first: str) -> list[str]:
        wanted = self._waiting[first]
        assert isinstance(wanted, FineTune)
        together = [
            key
            for key, request in self._waiting.items()
            if isinstance(request, FineTune) and request.company() == wanted.company()
        ]
        fair_share = -(-len(together) // self._config.workers)
        return together[: min(STUDENTS_AT_ONCE, fair_share)]

    def _give_back(self, key: str, request: Request) -> None:
        del self._taken[key]
        self._deaths[key] += 1
        if self._deaths[key] < ATTEMPTS:
            self._waiting[key] = request
            self._waiting.move_to_end(key, last=False)
            return
        what = f"{ATTEMPTS} workers died over this {type(request).__name__} request"
        self._refuse(key, TrainingError(f"{what}; their logs say why, and often it is memory"))

    def _refuse(self, key: str, error: AarError) -> None:
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

        from aar.training.worker import train_loop

        config = self._config
        ray.train.torch.TorchTrainer(
            train_loop,
            train_loop_config={"compute": handle, "zero_stage": config.zero_stage, "precision": config.precision},
            scaling_config=ray.train.ScalingConfig(
                num_workers=config.workers,
                use_gpu=config.gpus_per_worker > 0,
                resources_per_worker=_resources(config),
            ),
            run_config=ray.train.RunConfig(
                name=f"training-{uuid.uuid4().hex[:8]}",
                storage_path=str(self._folder / "ray-train"),
                failure_config=ray.train.FailureConfig(max_failures=ATTEMPTS * 4),
            ),
        ).fit()

    def _refuse_all(self, error: ComputeError) -> None:
        for key in list(self._answers):
            self._refuse(key, error)
        self._waiting.clear()
        self._taken.clear()
        self._job = None


def _resources(config: ComputeConfig) -> dict[str, float]:
    gpus = {"GPU": config.gpus_per_worker} if config.gpus_per_worker > 0 else {}
    return {"CPU": config.cpus_per_worker, **gpus}


def start_compute(config: ComputeConfig, folder: Path, namespace: str) -> ActorHandle[Any]:
    """The campaign's compute actor, ready to be asked; it lives as long as the campaign's driver."""
    actor = ray.remote(Compute).options(
        name=COMPUTE,
        namespace=namespace,
        num_cpus=0,
        scheduling_strategy=on_this_node(),
        max_restarts=-1,
        max_task_retries=-1,
        max_concurrency=1000,
        get_if_exists=True,
        runtime_env={"env_vars": {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2"}},
    )
    compute: ActorHandle[Any] = actor.remote(config, str(folder))
    result(compute.status.remote())  # others look it up by name
    return compute
