"""The Ray Train job: its start, how its workers find each other, and the loop that each of them runs.

A worker takes requests from the compute actor and answers them until the actor tells it to end.

torch.distributed's usual store listens on every network interface without authentication: anyone who can reach it can
join. So workers that share a machine, and a single one, rendezvous through a file that only their user may open, and
communicate over loopback. Ranks exchange JSON, never pickle.

Not protected: workers on several machines rendezvous through torch's TCP store and use gloo or NCCL, none of which has
passwords or encryption. The network between a cluster's machines must be one that nobody else can reach.
"""

import json
import logging
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
import torch.distributed as dist
from ray.train.torch import TorchConfig

from aar.compute.engine import Group
from aar.compute.executor import RequestExecutor
from aar.compute.requests import Request
from aar.config import ComputeConfig
from aar.errors import AarError
from aar.logs import printable_errors
from aar.models.language_model import Precision
from aar.ray_utils import get, log_to_ray

log = logging.getLogger(__name__)

MAX_FAILURES = 100
"""Deaths of workers after which Ray Train stops restarting them."""
MEETING = "AAR_MEETING"
"""The environment variable in which the process of rank 0 notes the folder, to remove it at the end."""
WANTED_SECONDS = 2.0
"""Seconds between a worker's questions whether a caller still waits for what it is training."""
LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}


def train(compute: Any, config: ComputeConfig, folder: Path) -> None:
    """Run the training workers, which serve this compute actor, until it tells them to end.

    Raises:
        TrainingFailedError: Ray Train's own; the workers failed and were not restarted.
    """
    gpus = {"GPU": config.gpus_per_worker} if config.gpus_per_worker > 0 else {}
    ray.train.torch.TorchTrainer(
        train_loop,
        train_loop_config={"compute": compute, "zero_stage": config.zero_stage, "precision": config.precision},
        torch_config=MeetingConfig(),
        scaling_config=ray.train.ScalingConfig(
            num_workers=config.workers,
            use_gpu=config.gpus_per_worker > 0,
            resources_per_worker={"CPU": config.cpus_per_worker, **gpus},
        ),
        run_config=ray.train.RunConfig(
            name=f"training-{uuid.uuid4().hex[:8]}",
            storage_path=str(folder / "ray-train"),
            failure_config=ray.train.FailureConfig(max_failures=MAX_FAILURES),
        ),
    ).fit()


class MeetingConfig(TorchConfig):  # type: ignore[misc]
    """Ray Train's own configuration, except that workers of one machine meet in a file."""

    @property
    def backend_cls(self) -> Any:
        return _MeetingBackend


class _MeetingBackend(TorchConfig().backend_cls):  # type: ignore[misc]
    def on_start(self, worker_group: Any, backend_config: TorchConfig) -> None:
        if len(set(worker_group.execute(_node))) > 1:
            super().on_start(worker_group, backend_config)
            return
        meeting = worker_group.execute_single(0, _new_meeting)
        backend = "nccl" if worker_group.get_resources_per_worker().get("GPU", 0) > 0 else "gloo"
        size, patience = len(worker_group), backend_config.timeout_s
        ray.get(
            [
                worker_group.execute_single_async(rank, _meet, meeting, backend, rank, size, patience)
                for rank in range(size)
            ]
        )

    def on_shutdown(self, worker_group: Any, backend_config: TorchConfig) -> None:
        super().on_shutdown(worker_group, backend_config)
        worker_group.execute_single(0, _leave_meeting)


def _node() -> str:
    return str(ray.get_runtime_context().get_node_id())


def _new_meeting() -> str:
    """Return the path of a file that does not exist yet, in a folder of this user's own."""
    os.environ[MEETING] = tempfile.mkdtemp(prefix="aar-ranks-")
    return str(Path(os.environ[MEETING]) / "meeting")


def _leave_meeting() -> None:
    if folder := os.environ.pop(MEETING, None):
        shutil.rmtree(folder, ignore_errors=True)


def _meet(meeting: str, backend: str, rank: int, size: int, timeout_s: int) -> None:
    context = ray.train.get_context()
    places = {"LOCAL_RANK": context.get_local_rank(), "LOCAL_WORLD_SIZE": size, "RANK": rank, "WORLD_SIZE": size}
    os.environ.update(LOOPBACK | {name: str(value) for name, value in places.items()})
    patience = timedelta(seconds=timeout_s)
    dist.init_process_group(backend, init_method=f"file://{meeting}", rank=rank, world_size=size, timeout=patience)


def agreed(value: Any, group: Group, device: torch.device) -> Any:
    """Return the JSON value of rank 0 of `group`, on every rank."""
    if group.size == 1:
        return value
    sender = dist.get_global_rank(group.ranks, 0)
    text = json.dumps(value).encode() if group.rank == 0 else b""
    length = torch.tensor([len(text)], device=device)
    dist.broadcast(length, sender, group=group.ranks)
    content = torch.zeros(int(length), dtype=torch.uint8, device=device)
    if group.rank == 0:
        content.copy_(torch.frombuffer(bytearray(text), dtype=torch.uint8))
    dist.broadcast(content, sender, group=group.ranks)
    return json.loads(bytes(content.cpu().numpy()))


def train_loop(settings: dict[str, Any]) -> None:
    """Serve the compute actor, as the function that Ray Train runs in every worker.

    settings: the compute actor's handle, `zero_stage` and `precision`.
    """
    compute, precision = settings["compute"], settings["precision"]
    rank = ray.train.get_context().get_world_rank()
    device = ray.train.torch.get_device()
    group = Group(settings["zero_stage"])
    executor = _executor(compute, precision, group, device)
    log_to_ray()
    log.info("worker %d of %d on %s", rank, ray.train.get_context().get_world_size(), device)
    generation = agreed(ray.get(compute.register_workers.remote()) if rank == 0 else None, Group(1), device)
    while True:
        leads = group.rank == 0
        keys = agreed(ray.get(compute.next_batch.remote(generation)) if leads else None, group, device)
        if keys is None:
            return
        if keys:
            requests: list[Request] = ray.get(compute.requests.remote(keys))
            with printable_errors():  # an error that ends a worker may quote the texts that it was given
                _answer(compute, executor, keys, requests, _caller_check(compute, keys, group, device), leads=leads)


def _executor(compute: Any, precision: Precision, group: Group, device: torch.device) -> RequestExecutor:
    if device.type == "cpu":
        torch.set_num_threads(max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1))))
    return RequestExecutor(device, precision, group, lambda key: get(compute.get.remote(key)))


def _caller_check(compute: Any, keys: list[str], group: Group, device: torch.device) -> Callable[[], bool]:
    """Return a function that tells all ranks alike if a caller still waits for one of these, asking now and then."""
    last = time.monotonic()

    def is_wanted() -> bool:
        nonlocal last
        answer = True
        if group.rank == 0 and time.monotonic() - last > WANTED_SECONDS:
            answer, last = ray.get(compute.is_wanted.remote(keys)), time.monotonic()
        return bool(agreed(answer, group, device))

    return is_wanted


def _answer(
    compute: Any,
    executor: RequestExecutor,
    keys: list[str],
    requests: list[Request],
    is_wanted: Callable[[], bool],
    *,
    leads: bool,
) -> None:
    """Answer requests. Only aar's own errors are answers; others end the worker, and Ray Train starts a new one."""
    results: list[bytes | AarError]
    began = time.monotonic()
    try:
        results = [*executor.execute(requests, is_wanted)]
    except AarError as error:
        results = [error] * len(requests)
    if not leads:
        return
    log.info(
        "%s %.12s and %d others: %.1f s",
        type(requests[0]).__name__,
        keys[0],
        len(keys) - 1,
        time.monotonic() - began,
    )
    answers = dict(zip(keys, results, strict=True))
    ray.get(compute.complete.remote({key: data for key, data in answers.items() if isinstance(data, bytes)}))
    for key, answer in answers.items():
        if isinstance(answer, AarError):
            ray.get(compute.fail.remote([key], answer))
