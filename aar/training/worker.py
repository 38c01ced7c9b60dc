"""What each worker of the Ray Train job runs: take work from the compute actor, answer it, until there is no more."""

import time
from collections.abc import Callable
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch

from aar.errors import AarError
from aar.models.precision import Precision
from aar.training.desk import Desk
from aar.training.engine import Group
from aar.training.process_group import agreed
from aar.training.requests import Request

WANTED_SECONDS = 2.0
"""How often a worker asks whether anybody still waits for what it is training."""


def train_loop(settings: dict[str, Any]) -> None:
    """The Ray Train function. `settings`: the compute actor's handle, `zero_stage` and `precision`."""
    compute, precision = settings["compute"], settings["precision"]
    rank = ray.train.get_context().get_world_rank()
    device = ray.train.torch.get_device()
    group = Group(settings["zero_stage"])
    desk = _desk(compute, precision, group, device)
    incarnation = agreed(ray.get(compute.join.remote()) if rank == 0 else None, Group(1), device)
    while True:
        leads = group.rank == 0
        keys = agreed(ray.get(compute.take.remote(incarnation)) if leads else None, group, device)
        if keys is None:
            return
        if keys:
            requests: list[Request] = ray.get(compute.requests.remote(keys))
            _answer(compute, desk, keys, requests, _wanted(compute, keys, group, device), leads=leads)


def _desk(compute: Any, precision: Precision, group: Group, device: torch.device) -> Desk:
    if device.type == "cpu":
        torch.set_num_threads(max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1))))
    return Desk(device, precision, group, lambda key: ray.get(compute.fetch.remote(key)))


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
    compute: Any, desk: Desk, keys: list[str], requests: list[Request], wanted: Callable[[], bool], *, leads: bool
) -> None:
    """Only aar's own errors are answers; anything else ends the worker, and Ray Train starts a new one."""
    results: list[bytes | AarError]
    try:
        results = [*desk.answer(requests, wanted)]
    except AarError as error:
        results = [error] * len(requests)
    if not leads:
        return
    found = dict(zip(keys, results, strict=True))
    done = {key: one for key, one in found.items() if isinstance(one, bytes)}
    ray.get(compute.answered.remote(done))
    for key, one in found.items():
        if isinstance(one, AarError):
            ray.get(compute.failed.remote([key], one))
