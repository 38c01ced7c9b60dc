"""Calling Ray actors: where they run, and aar's own errors coming out of them as themselves.

Ray wraps what a remote call raised into an error whose text holds a remote traceback with paths of that machine. Method
code and users are shown error texts, so the original error is raised instead.
"""

import logging
import os
from collections.abc import Awaitable
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from aar.errors import AarError
from aar.logs import log_to

log = logging.getLogger(__name__)

COMMONS, SCORER, COMPUTE, EXPERIMENTS = "commons", "scorer", "compute", "experiments"
"""The names of a campaign's actors, in its Ray namespace."""


def get(reference: Any) -> Any:
    """What a remote call returned. Raises what it raised, when that is one of aar's own errors; else Ray's error."""
    try:
        return ray.get(reference)
    except RayTaskError as error:
        raise _own(error) from None


async def get_async(reference: Awaitable[Any]) -> Any:
    """As `get`, for asynchronous actors."""
    try:
        return await reference
    except RayTaskError as error:
        raise _own(error) from None


def log_to_ray() -> None:
    """Write what this worker process logs, from INFO on, to where Ray keeps its output and the dashboard shows it.

    Does nothing in a driver, and where Ray does not run.
    """
    context = ray.get_runtime_context() if ray.is_initialized() else None
    if context is None or context.worker.mode != ray.WORKER_MODE:
        return
    log_to(logging.StreamHandler())
    is_actor = context.get_actor_id() is not None
    begun = "restarted" if is_actor and context.was_current_actor_reconstructed else "started"
    log.info("%s: %s in process %d", context.get_actor_name() or "worker", begun, os.getpid())


def get_actor(name: str) -> ActorHandle[Any]:
    """The actor of this campaign with this name. An actor that looks others up can be started again by itself."""
    return ray.get_actor(name)


def on_this_node() -> NodeAffinitySchedulingStrategy:
    """For actors that work on the campaign folder: they must run on the node that has it, the driver's."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def _own(error: RayTaskError) -> BaseException:
    return error.cause if isinstance(error.cause, AarError) else error
