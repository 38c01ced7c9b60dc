"""Clients of the compute actor, in a real Ray: results, errors that come as themselves, and texts that are put once."""

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import ray

from aar.compute.client import AsyncComputeClient, ComputeClient
from aar.compute.requests import Predict, Request, array_to_bytes
from aar.compute.store import StoredTexts, texts_to_bytes
from aar.errors import QuotaError, TrainingError
from tests.compute.toy import request

TEXTS = (("a text",), ("another",))
QUESTION = Predict("m", StoredTexts.of(TEXTS), "a student")


@ray.remote(num_cpus=0)
class Recorder:
    """Answers every request with the array (1, 2, 3), and records its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.stored: dict[str, bytes] = {}

    def run(self, request: Request, account: str, ticket: str) -> str:
        if request.model == "unknown":
            raise TrainingError("the model is unknown")
        self.calls.append((request.key(), account, ticket))
        return request.key()

    def get(self, key: str) -> bytes:
        return self.stored.get(key) or array_to_bytes(np.arange(1, 4))

    def has(self, key: str) -> bool:
        return key in self.stored

    def put(self, key: str, data: bytes, account: str) -> None:
        if account == "full":
            raise QuotaError("what is kept for full is full")
        assert key not in self.stored
        self.stored[key] = data
        self.calls.append((key, account))

    def recorded(self) -> list[tuple[Any, ...]]:
        return self.calls


@pytest.fixture
def compute(ray_session: None) -> Iterator[Any]:
    actor = Recorder.remote()
    yield actor
    ray.kill(actor)


def test_both_clients_return_arrays_and_the_keys_of_students_on_their_account_and_ticket(compute: Any) -> None:
    client, asynchronous = ComputeClient(compute, "ada", "run-1"), AsyncComputeClient(compute, "ada", "run-1")

    async def ask() -> None:
        np.testing.assert_array_equal(await asynchronous.run(QUESTION), [1, 2, 3])
        assert await asynchronous.train(request("m")) == request("m").key()

    np.testing.assert_array_equal(client.run(QUESTION), [1, 2, 3])
    assert client.train(request("m")) == request("m").key()
    asyncio.run(ask())
    assert ray.get(compute.recorded.remote()) == 2 * [
        (QUESTION.key(), "ada", "run-1"),
        (request("m").key(), "ada", "run-1"),
    ]


def test_without_an_account_the_platform_asks(compute: Any) -> None:
    ComputeClient(compute).run(QUESTION)
    asyncio.run(AsyncComputeClient(compute).run(QUESTION))
    assert ray.get(compute.recorded.remote()) == 2 * [(QUESTION.key(), "platform", "")]


def test_texts_are_put_once_whichever_client_puts_them(compute: Any) -> None:
    named = ComputeClient(compute, "ada").put(TEXTS)
    assert named == asyncio.run(AsyncComputeClient(compute, "ben").put(TEXTS)) == ComputeClient(compute).put(TEXTS)
    assert ray.get(compute.recorded.remote()) == [(named.digest, "ada")]
    assert ray.get(compute.get.remote(named.digest)) == texts_to_bytes(TEXTS)


def test_an_error_of_the_actor_comes_as_itself_and_not_as_an_error_of_ray(compute: Any) -> None:
    unknown = Predict("unknown", StoredTexts.of(TEXTS), "a student")
    with pytest.raises(TrainingError, match=r"^the model is unknown$") as caught:
        ComputeClient(compute).run(unknown)
    assert type(caught.value) is TrainingError
    with pytest.raises(TrainingError, match=r"^the model is unknown$"):
        asyncio.run(AsyncComputeClient(compute).run(unknown))
    with pytest.raises(QuotaError, match="full is full"):
        ComputeClient(compute, "full").put(TEXTS)
