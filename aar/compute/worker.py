"""What each worker of the Ray Train job runs: take work from the compute actor, answer it, until there is no more.

How the training workers find each other: on one machine through a file that their user alone may open.

torch.distributed's usual store listens on every network interface and asks nobody for a token, and whoever can write to
it can take part. So workers that share a machine, and a single one, meet in a file and speak over loopback. What ranks
tell each other is JSON, never pickle.

Not protected: workers on several machines meet through torch's TCP store and speak gloo or NCCL, none of which knows
passwords or encryption. The network between a cluster's machines must be one that nobody else can reach.
"""

import json
import logging
import os
import shutil
import tempfile
import time
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
from aar.errors import AarError
from aar.logs import printable_errors
from aar.models.language_model import Precision
from aar.ray_utils import get, log_to_ray

log = logging.getLogger(__name__)

MEETING = "AAR_MEETING"
"""Where the process of rank 0 notes the folder, to remove it at the end."""
LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}


class MeetingConfig(TorchConfig):  # type: ignore[misc]
    """As Ray Train's own, but for where workers of one machine meet."""

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
    """A file that is not there yet, in a folder of this user's own."""
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
    """The JSON value that rank 0 of `group` has, on every rank."""
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


WANTED_SECONDS = 2.0
"""How often a worker asks whether anybody still waits for what it is training."""


def train_loop(settings: dict[str, Any]) -> None:
    """The Ray Train function. `settings`: the compute actor's handle, `zero_stage` and `precision`."""
    compute, precision = settings["compute"], settings["precision"]
    rank = ray.train.get_context().get_world_rank()
    device = ray.train.torch.get_device()
    group = Group(settings["zero_stage"])
    executor = _executor(compute, precision, group, device)
    log_to_ray()
    log.info("worker %d of %d on %s", rank, ray.train.get_context().get_world_size(), device)
    incarnation = agreed(ray.get(compute.join.remote()) if rank == 0 else None, Group(1), device)
    while True:
        leads = group.rank == 0
        keys = agreed(ray.get(compute.take.remote(incarnation)) if leads else None, group, device)
        if keys is None:
            return
        if keys:
            requests: list[Request] = ray.get(compute.requests.remote(keys))
            with printable_errors():  # what ends a worker may quote the texts that it was given
                _answer(compute, executor, keys, requests, _wanted(compute, keys, group, device), leads=leads)


def _executor(compute: Any, precision: Precision, group: Group, device: torch.device) -> RequestExecutor:
    if device.type == "cpu":
        torch.set_num_threads(max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1))))
    return RequestExecutor(device, precision, group, lambda key: get(compute.fetch.remote(key)))


def _wanted(compute: Any, keys: list[str], group: Group, device: torch.device) -> Callable[[], bool]:
    """Asks, now and then, whether anybody still waits for one of these; all ranks get the same answer."""
    last = time.monotonic()

    def wanted() -> bool:
        nonlocal last
        answer = True
        if group.rank == 0 and time.monotonic() - last > WANTED_SECONDS:
            answer, last = ray.get(compute.wanted.remote(keys)), time.monotonic()
        return bool(agreed(answer, group, device))

    return wanted


def _answer(
    compute: Any,
    executor: RequestExecutor,
    keys: list[str],
    requests: list[Request],
    wanted: Callable[[], bool],
    *,
    leads: bool,
) -> None:
    """Only aar's own errors are answers; anything else ends the worker, and Ray Train starts a new one."""
    results: list[bytes | AarError]
    began = time.monotonic()
    try:
        results = [*executor.execute(requests, wanted)]
    except AarError as error:
        results = [error] * len(requests)
    if not leads:
        return
    log.info(
        "%s %.12s and %d beside it: %.1f s",
        type(requests[0]).__name__,
        keys[0],
        len(keys) - 1,
        time.monotonic() - began,
    )
    found = dict(zip(keys, results, strict=True))
    done = {key: one for key, one in found.items() if isinstance(one, bytes)}
    ray.get(compute.answered.remote(done))
    for key, one in found.items():
        if isinstance(one, AarError):
            ray.get(compute.failed.remote([key], one))
