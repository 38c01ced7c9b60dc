"""What each worker of the Ray Train job runs: take work from the compute actor, answer it, until there is no more."""

from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
import torch.distributed as dist

from aar.errors import AarError
from aar.models.precision import Precision
from aar.training.desk import Desk
from aar.training.engine import Group
from aar.training.requests import Request

Work = list[tuple[str, Request]]
"""Keys and requests that are to be answered together."""


def train_loop(settings: dict[str, Any]) -> None:
    """The Ray Train function. `settings`: the compute actor's handle, `zero_stage` and `precision`."""
    compute, precision = settings["compute"], settings["precision"]
    rank = ray.train.get_context().get_world_rank()
    group = Group(settings["zero_stage"])
    desk = _desk(compute, precision, group)
    incarnation = _agree(ray.get(compute.join.remote()) if rank == 0 else None, Group(1))
    while True:
        leads = group.rank == 0
        work: Work | None = ray.get(compute.take.remote(incarnation)) if leads else None
        work = _agree(work, group)
        if work is None:
            return
        if work:
            _answer(compute, desk, work, leads)


def _desk(compute: Any, precision: Precision, group: Group) -> Desk:
    device = ray.train.torch.get_device()
    if device.type == "cpu":
        torch.set_num_threads(max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1))))
    return Desk(device, precision, group, lambda key: ray.get(compute.fetch.remote(key)))


def _answer(compute: Any, desk: Desk, work: Work, leads: bool) -> None:
    """Only aar's own errors are answers; anything else ends the worker, and Ray Train starts a new one."""
    keys, requests = [key for key, _ in work], [request for _, request in work]
    try:
        results = desk.answer(requests)
    except AarError as error:
        if leads:
            ray.get(compute.failed.remote(keys, error))
        return
    if leads:
        ray.get(compute.answered.remote(dict(zip(keys, results, strict=True))))


def _agree(value: Any, group: Group) -> Any:
    """Rank 0's value, on every rank of the group."""
    if group.size == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=dist.get_global_rank(group.ranks, 0), group=group.ranks)
    return box[0]
