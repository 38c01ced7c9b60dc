"""Start and call Ray actors, and raise aar's own errors from remote calls as they are.

Ray wraps an error of a remote call into one whose text contains a remote traceback with paths of that machine. Method
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
from aar.metrics import NAMESPACE

log = logging.getLogger(__name__)

COMMONS, SCORER, COMPUTE, EXPERIMENTS = "commons", "scorer", "compute", "experiments"
"""The names of a campaign's actors, in its Ray namespace."""


def namespace_of(campaign: str) -> str:
    """Return the Ray namespace of a campaign's actors."""
    return NAMESPACE + campaign


def get(reference: Any) -> Any:
    """Return the result of a remote call. Raises its error if that is one of aar's own, else Ray's error."""
    try:
        return ray.get(reference)
    except RayTaskError as error:
        raise _original(error) from None


async def get_async(reference: Awaitable[Any]) -> Any:
    """Await the result of a remote call, as `get` does, in asynchronous actors."""
    try:
        return await reference
    except RayTaskError as error:
        raise _original(error) from None


def log_to_ray() -> None:
    """Send this worker process's log, from level INFO, to Ray's output for it, which the dashboard shows.

    Does nothing in a driver, and if Ray does not run.
    """
    context = ray.get_runtime_context() if ray.is_initialized() else None
    if context is None or context.worker.mode != ray.WORKER_MODE:
        return
    log_to(logging.StreamHandler())
    is_actor = context.get_actor_id() is not None
    event = "restarted" if is_actor and context.was_current_actor_reconstructed else "started"
    log.info("%s: %s in process %d", context.get_actor_name() or "worker", event, os.getpid())


def start_actor(kind: type, name: str, namespace: str, *arguments: Any, **options: Any) -> ActorHandle[Any]:
    """Return the actor `name` of a namespace; start it as `kind(*arguments)` if it does not run yet.

    Unless `options` say otherwise, it lives as long as the driver, reserves no CPU, and runs on this node. When its
    process is lost, Ray restarts it and repeats the calls that it had not answered.

    Args:
        options: Ray's options for actors.
    """
    defaults = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": on_this_node()}
    actor = ray.remote(**{**defaults, **options})(kind)
    handle: ActorHandle[Any] = actor.options(name=name, namespace=namespace, get_if_exists=True).remote(*arguments)
    return handle


def get_actor(name: str) -> ActorHandle[Any]:
    """Return this campaign's actor with this name. An actor that looks others up by name can be restarted alone."""
    return ray.get_actor(name)


def on_this_node() -> NodeAffinitySchedulingStrategy:
    """Return the placement of actors that work on the campaign folder: on the node that has it, the driver's."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def _original(error: RayTaskError) -> BaseException:
    return error.cause if isinstance(error.cause, AarError) else error
