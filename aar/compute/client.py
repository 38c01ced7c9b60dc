"""Asking the compute actor, from asynchronous actors and from threads."""

from typing import Any

import numpy as np

from aar.compute.requests import FineTune, ImportAdapter, Request, array_from_bytes
from aar.compute.texts import StoredTexts, texts_to_bytes
from aar.models.data import Texts
from aar.ray_utils import get, get_async


async def put_texts(compute: Any, texts: Texts) -> StoredTexts:
    """Store texts for the platform, unless they are stored already. Raises what the compute actor's `keep` raises."""
    stored = StoredTexts.of(texts)
    if not await get_async(compute.has.remote(stored.digest)):
        await get_async(compute.keep.remote(stored.digest, texts_to_bytes(texts)))
    return stored


async def ask(compute: Any, request: Request) -> np.ndarray:
    """The array that answers `request`. Raises what the compute actor's `run` raises."""
    key = await get_async(compute.run.remote(request))
    return array_from_bytes(await get_async(compute.fetch.remote(key)))


async def train(compute: Any, request: FineTune) -> str:
    """The key of the student that `request` asks for. Raises what the compute actor's `run` raises."""
    key: str = await get_async(compute.run.remote(request))
    return key


def put_texts_and_wait(compute: Any, texts: Texts, account: str) -> StoredTexts:
    """As `put_texts`, blocking, charged to a researcher's account."""
    stored = StoredTexts.of(texts)
    if not get(compute.has.remote(stored.digest)):
        get(compute.keep.remote(stored.digest, texts_to_bytes(texts), account))
    return stored


def ask_and_wait(compute: Any, request: Request, account: str, ticket: str = "") -> np.ndarray:
    """As `ask`, blocking, charged to a researcher's account, and ended when its ticket is withdrawn."""
    return array_from_bytes(get(compute.fetch.remote(get(compute.run.remote(request, account, ticket)))))


def train_and_wait(compute: Any, request: FineTune | ImportAdapter, account: str, ticket: str = "") -> str:
    """As `ask_and_wait`, the key of a student; also of one that was trained elsewhere."""
    key: str = get(compute.run.remote(request, account, ticket))
    return key
