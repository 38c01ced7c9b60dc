"""Asking the compute actor, from asynchronous actors and from threads."""

from typing import Any

import numpy as np

from aar.compute.requests import FineTune, ImportAdapter, Request, array_from_bytes
from aar.ray_utils import get, get_async


async def ask(compute: Any, request: Request) -> np.ndarray:
    """The array that answers `request`. Raises what the compute actor's `run` raises."""
    key = await get_async(compute.run.remote(request))
    return array_from_bytes(await get_async(compute.fetch.remote(key)))


async def train(compute: Any, request: FineTune) -> str:
    """The key of the student that `request` asks for. Raises what the compute actor's `run` raises."""
    key: str = await get_async(compute.run.remote(request))
    return key


def ask_and_wait(compute: Any, request: Request, account: str, ticket: str = "") -> np.ndarray:
    """As `ask`, blocking, charged to a researcher's account, and ended when its ticket is withdrawn."""
    return array_from_bytes(get(compute.fetch.remote(get(compute.run.remote(request, account, ticket)))))


def train_and_wait(compute: Any, request: FineTune | ImportAdapter, account: str, ticket: str = "") -> str:
    """As `ask_and_wait`, the key of a student; also of one that was trained elsewhere."""
    key: str = get(compute.run.remote(request, account, ticket))
    return key
