"""Clients of the compute actor: one that blocks, for threads, and one for asynchronous actors."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from aar.compute.requests import Average, FineTune, ImportAdapter, ProbeHead, Request, array_from_bytes
from aar.compute.store import StoredTexts, texts_to_bytes
from aar.config import PLATFORM
from aar.models.recipe import Texts
from aar.ray_utils import get, get_async


@dataclass(frozen=True)
class ComputeClient:
    """Blocks until the compute actor has answered.

    Args:
        compute: the actor's handle.
        account: the researcher to whom device time and storage are charged.
        ticket: ends this client's requests when it is withdrawn; see `Compute.withdraw`.
    """

    compute: Any
    account: str = PLATFORM
    ticket: str = ""

    def put(self, texts: Texts) -> StoredTexts:
        """Store texts for requests to name, unless they are stored. Raises as the actor's `put`."""
        stored = StoredTexts.of(texts)
        if not get(self.compute.has.remote(stored.digest)):
            get(self.compute.put.remote(stored.digest, texts_to_bytes(texts), self.account))
        return stored

    def run(self, request: Request) -> np.ndarray:
        """Return the array that answers a request. Raises as the actor's `run`."""
        key = get(self.compute.run.remote(request, self.account, self.ticket))
        return array_from_bytes(get(self.compute.get.remote(key)))

    def train(self, request: FineTune | ImportAdapter | ProbeHead | Average) -> str:
        """Return the key of the student that a request makes. Raises as the actor's `run`."""
        key: str = get(self.compute.run.remote(request, self.account, self.ticket))
        return key


@dataclass(frozen=True)
class AsyncComputeClient:
    """As `ComputeClient`, for asynchronous actors."""

    compute: Any
    account: str = PLATFORM
    ticket: str = ""

    async def put(self, texts: Texts) -> StoredTexts:
        """As `ComputeClient.put`."""
        stored = StoredTexts.of(texts)
        if not await get_async(self.compute.has.remote(stored.digest)):
            await get_async(self.compute.put.remote(stored.digest, texts_to_bytes(texts), self.account))
        return stored

    async def run(self, request: Request) -> np.ndarray:
        """As `ComputeClient.run`."""
        key = await get_async(self.compute.run.remote(request, self.account, self.ticket))
        return array_from_bytes(await get_async(self.compute.get.remote(key)))

    async def train(self, request: FineTune | ImportAdapter | ProbeHead | Average) -> str:
        """As `ComputeClient.train`."""
        key: str = await get_async(self.compute.run.remote(request, self.account, self.ticket))
        return key
