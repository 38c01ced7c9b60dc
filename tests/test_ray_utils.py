"""Actors are started once, come back when their process is lost, and raise aar's errors as they are."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
import ray
from ray.exceptions import RayTaskError

from aar.errors import ScoringError
from aar.ray_utils import get, get_actor, get_async, start_actor


class Counter:
    """An actor that keeps its number in a file."""

    def __init__(self, file: str) -> None:
        self._file = Path(file)

    def pid(self) -> int:
        return os.getpid()

    def add(self, amount: int, seconds: float = 0.0) -> int:
        time.sleep(seconds)
        total = amount + (int(self._file.read_text()) if self._file.exists() else 0)
        self._file.write_text(str(total))
        return total

    def refuse(self, error: Exception) -> None:
        raise error


@pytest.fixture
def namespace(ray_session: None, tmp_path: Path) -> str:
    return str(tmp_path)


def test_an_actor_of_a_name_is_started_once(namespace: str, tmp_path: Path) -> None:
    first = start_actor(Counter, "counter", namespace, str(tmp_path / "first"))
    second = start_actor(Counter, "counter", namespace, str(tmp_path / "second"))
    assert get(first.pid.remote()) == get(second.pid.remote())
    get(second.add.remote(3))
    assert (tmp_path / "first").read_text() == "3" and not (tmp_path / "second").exists()


def test_another_namespace_has_another_actor(namespace: str, tmp_path: Path) -> None:
    pids = {get(start_actor(Counter, "counter", f"{namespace}/{n}", str(tmp_path)).pid.remote()) for n in range(2)}
    assert len(pids) == 2


def test_an_actor_whose_process_is_lost_restarts_and_answers_the_calls_it_had(namespace: str, tmp_path: Path) -> None:
    counter = start_actor(Counter, "counter", namespace, str(tmp_path / "number"))
    get(counter.add.remote(1))
    lost = get(counter.pid.remote())
    pending = counter.add.remote(1, seconds=1.0)
    os.kill(lost, signal.SIGKILL)
    assert get(pending) == 2
    assert get(counter.pid.remote()) != lost


def test_options_replace_the_defaults(namespace: str, tmp_path: Path) -> None:
    counter = start_actor(Counter, "counter", namespace, str(tmp_path / "number"), max_restarts=0, max_task_retries=0)
    with suppress(ProcessLookupError):
        os.kill(get(counter.pid.remote()), signal.SIGKILL)
    with pytest.raises(ray.exceptions.RayActorError):
        get(counter.pid.remote())


def test_an_actor_takes_several_calls_at_once_if_it_is_asked_to(namespace: str, tmp_path: Path) -> None:
    counter = start_actor(Counter, "counter", namespace, str(tmp_path / "number"), max_concurrency=2)
    slow = counter.add.remote(1, seconds=60.0)
    assert get(counter.pid.remote()) > 0
    ray.kill(counter)
    with pytest.raises(ray.exceptions.RayActorError):
        get(slow)


def test_an_error_of_aars_own_comes_out_as_it_is_and_any_other_as_rays(namespace: str, tmp_path: Path) -> None:
    counter = start_actor(Counter, "counter", namespace, str(tmp_path / "number"))
    with pytest.raises(ScoringError) as refusal:
        get(counter.refuse.remote(ScoringError("name another experiment")))
    assert str(refusal.value) == "name another experiment" and refusal.value.__cause__ is None
    with pytest.raises(RayTaskError, match="a mistake"):
        get(counter.refuse.remote(KeyError("a mistake")))


def test_asynchronous_callers_get_results_and_errors_the_same_way(namespace: str, tmp_path: Path) -> None:
    counter = start_actor(Counter, "counter", namespace, str(tmp_path / "number"))

    async def call() -> int:
        with pytest.raises(ScoringError, match="name another experiment"):
            await get_async(counter.refuse.remote(ScoringError("name another experiment")))
        result: int = await get_async(counter.add.remote(5))
        return result

    assert asyncio.run(call()) == 5


def test_an_actor_that_does_not_run_is_not_found(namespace: str) -> None:
    with pytest.raises(ValueError, match="nobody"):
        get_actor("nobody")
