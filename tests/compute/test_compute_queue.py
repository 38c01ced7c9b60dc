"""The compute actor, served by the test itself instead of by workers: no Ray, no training."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aar.budget import Resources, StorageQuota, UsageStore
from aar.budget.quota import Held
from aar.compute import actor as compute_module
from aar.compute.actor import MOST_WAITING, Compute
from aar.compute.queue import MOST_DEATHS
from aar.compute.requests import Predict, Request
from aar.compute.texts import StoredTexts, texts_to_bytes
from aar.config import BudgetConfig, CampaignConfig, ComputeConfig, ResearcherBudget
from aar.errors import ComputeError, ModelError, QuotaError, StorageError, TrainingError, WithdrawnError
from tests.compute.toy import recipe, request
from tests.scoring.doubles import campaign


class Queue(Compute):
    """The actor without its job; whether one was asked for is counted."""

    jobs = 0

    def _start_job(self) -> None:
        self.jobs += 1


def configured(workers: int = 1, budget: BudgetConfig | None = None) -> CampaignConfig:
    changes = {"compute": ComputeConfig(workers=workers), "budget": budget or BudgetConfig()}
    return campaign("nowhere").model_copy(update=changes)


Scene = Callable[[Queue], Coroutine[Any, Any, None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Runs a scene on a queue of its own."""

    def run(scene: Scene, workers: int = 1, kind: type[Queue] = Queue) -> None:
        asyncio.run(scene(kind(configured(workers), str(tmp_path))))

    return run


async def waiting(queue: Queue, *requests: Request, **who: str) -> list[asyncio.Task[str]]:
    """Ask for these and let them reach the queue."""
    tasks = [asyncio.create_task(queue.run(one, **who)) for one in requests]
    await asyncio.sleep(0.01)
    return tasks


def question(number: int = 0) -> Predict:
    return Predict("m", StoredTexts.of((("a",),)), f"student-{number}")


def test_equal_requests_are_computed_once_and_all_get_the_result(play: Callable[..., None]) -> None:
    async def scene(queue: Queue) -> None:
        asked = await waiting(queue, question(), question(), question())
        [key] = await queue.take(await queue.join()) or []
        assert await queue.requests([key]) == [question()]
        assert await queue.status() == {"waiting": 0, "running": 1, "computed": 0}
        asked += await waiting(queue, question())
        await queue.answered({key: b"result"})
        assert {await one for one in asked} == {key}
        assert await queue.fetch(key) == b"result"
        assert await queue.status() == {"waiting": 0, "running": 0, "computed": 1}

    play(scene)


def test_what_was_computed_is_not_computed_again_even_by_the_next_actor(play: Callable[..., None]) -> None:
    async def first(queue: Queue) -> None:
        [asked] = await waiting(queue, question())
        await queue.answered({question().key(): b"result"})
        await asked

    async def second(queue: Queue) -> None:
        assert await queue.fetch(await queue.run(question())) == b"result"
        assert queue.jobs == 0

    play(first)
    play(second)


def test_a_failed_request_fails_for_all_who_asked_and_may_be_asked_again(play: Callable[..., None]) -> None:
    async def scene(queue: Queue) -> None:
        asked = await waiting(queue, question(), question())
        group = await queue.join()
        await queue.take(group)
        await queue.failed([question().key()], ModelError("no such model"))
        for one in asked:
            with pytest.raises(ModelError, match="no such model"):
                await one
        [again] = await waiting(queue, question())
        assert len(await queue.take(group) or []) == 1
        await queue.answered({question().key(): b"now"})
        assert await again == question().key()

    play(scene)


def test_what_dead_workers_had_taken_comes_first_again(play: Callable[..., None]) -> None:
    async def scene(queue: Queue) -> None:
        [asked, *_] = await waiting(queue, question(1), question(2))
        dead = await queue.join()
        [key] = await queue.take(dead) or []
        alive = await queue.join()
        assert await queue.take(dead) is None
        assert await queue.take(alive) == [key]
        await queue.answered({key: b"result"})
        assert await asked == key

    play(scene)


def test_a_request_over_which_workers_keep_dying_is_given_up(play: Callable[..., None]) -> None:
    async def scene(queue: Queue) -> None:
        asked = await waiting(queue, question(1))
        for _ in range(MOST_DEATHS):
            await queue.take(await queue.join())
        await queue.join()
        with pytest.raises(TrainingError, match=f"{MOST_DEATHS} workers died over this Predict request"):
            await asked[0]
        asked = await waiting(queue, question(2))
        assert len(await queue.take(await queue.join()) or []) == 1

    play(scene)


def test_a_caller_that_gives_up_does_not_take_the_result_from_others(play: Callable[..., None]) -> None:
    async def scene(queue: Queue) -> None:
        impatient, patient = await waiting(queue, question(), question())
        impatient.cancel()
        await asyncio.sleep(0.01)
        await queue.answered({question().key(): b"result"})
        assert await patient == question().key()

    play(scene)


def test_a_result_that_cannot_be_kept_is_the_callers_error(play: Callable[..., None], tmp_path: Path) -> None:
    async def scene(queue: Queue) -> None:
        (tmp_path / "artifacts").mkdir()
        [asked] = await waiting(queue, question())
        (tmp_path / "artifacts" / question().key()[:2]).touch()  # a file where a folder should be
        await queue.answered({question().key(): b"x"})
        with pytest.raises(StorageError, match=question().key()):
            await asked

    play(scene)


def test_a_worker_without_work_is_told_so_after_a_while(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute_module, "LONG_POLL_SECONDS", 0.05)

    async def scene(queue: Queue) -> None:
        assert await queue.take(await queue.join()) == []

    play(scene)


def test_stopping_ends_the_workers(play: Callable[..., None]) -> None:
    async def scene(queue: Queue) -> None:
        group = await queue.join()
        await queue.stop()
        assert await queue.take(group) is None

    play(scene)


def test_when_the_workers_are_gone_for_good_everybody_is_told(play: Callable[..., None]) -> None:
    async def scene(queue: Queue) -> None:
        asked = await waiting(queue, question(1), question(2))
        await queue.take(await queue.join())
        queue._refuse_all(ComputeError("gone"))
        for one in asked:
            with pytest.raises(ComputeError, match="gone"):
                await one
        assert await queue.status() == {"waiting": 0, "running": 0, "computed": 0}

    play(scene)


def test_workers_that_cannot_be_started_leave_nobody_waiting(play: Callable[..., None]) -> None:
    class Broken(Queue):
        def _fit(self, handle: Any) -> None:
            raise OSError("no storage")

    async def scene(queue: Queue) -> None:
        [asked] = await waiting(queue, question())
        with pytest.raises(OSError, match="no storage"):
            await asyncio.to_thread(queue._run_job, asyncio.get_running_loop(), None)
        with pytest.raises(ComputeError, match="could not be started"):
            await asked

    play(scene, kind=Broken)


def test_a_key_without_result_is_an_error(play: Callable[..., None]) -> None:
    async def scene(queue: Queue) -> None:
        with pytest.raises(TrainingError, match="there are neither results nor texts with key abcabcabcabc;"):
            await queue.fetch("abc" * 20)

    play(scene)


def test_a_request_that_nobody_waits_for_any_more_ends(play: Callable[..., None]) -> None:
    async def scene(queue: Queue) -> None:
        [gone] = await waiting(queue, question(1), account="ada", ticket="run-1")
        [running] = await waiting(queue, request("m"), account="ada", ticket="run-2")
        await queue.withdraw("run-1")
        with pytest.raises(WithdrawnError, match="nobody waits"):
            await gone
        [key] = await queue.take(await queue.join()) or []
        assert key == request("m").key() and await queue.wanted([key])
        await queue.withdraw("run-2")
        assert not await queue.wanted([key])
        await queue.failed([key], WithdrawnError("it was ended"))
        with pytest.raises(WithdrawnError):
            await running

    play(scene)


def test_one_that_is_asked_for_again_while_it_ends_is_computed(play: Callable[..., None]) -> None:
    async def scene(queue: Queue) -> None:
        [gone] = await waiting(queue, request("m"), account="ada", ticket="run-1")
        group = await queue.join()
        [key] = await queue.take(group) or []
        await queue.withdraw("run-1")
        [again] = await waiting(queue, request("m"), account="ben", ticket="run-2")
        await queue.failed([key], WithdrawnError("it was ended"))
        assert await queue.take(group) == [key]
        await queue.answered({key: b"result"})
        assert await gone == await again == key

    play(scene)


def test_a_flood_is_refused_for_its_account_alone(play: Callable[..., None]) -> None:
    async def scene(queue: Queue) -> None:
        await waiting(queue, *(question(number) for number in range(MOST_WAITING)), account="mallory")
        with pytest.raises(TrainingError, match=f"{MOST_WAITING} requests of mallory wait already"):
            await queue.run(question(MOST_WAITING), account="mallory")
        [asked] = await waiting(queue, question(-1), account="ada")
        [first, *_] = [await queue.take(await queue.join()) for _ in range(2)]
        assert first is not None and not asked.done()

    play(scene)


def test_what_would_take_more_device_time_than_is_left_is_refused_before_it_is_queued(tmp_path: Path) -> None:
    async def scene(queue: Queue) -> None:
        [asked] = await waiting(queue, question(0), account="ada")
        [key] = await queue.take(await queue.join()) or []
        queue._begun[key] = compute_module.InFlight(queue._begun[key].since - 2.0, 1)  # it took two seconds
        await queue.answered({key: b"result"})
        await asked
        await waiting(queue, question(1), account="ada")
        with pytest.raises(TrainingError, match="would take about 8 cpu seconds, and 6 are left"):
            await queue.run(question(2), account="ada")
        await waiting(queue, question(3), account="ben")

    UsageStore(tmp_path).add("ada", "before", amounts=Resources(cpu_seconds=10))
    budget = BudgetConfig(researcher=ResearcherBudget(cpu_seconds=20))
    asyncio.run(scene(Queue(configured(budget=budget), str(tmp_path))))


def test_small_fits_of_one_account_do_not_make_others_requests_look_dear(tmp_path: Path) -> None:
    """What a fit takes before its first step is most of what a tiny one takes, and says nothing of large ones."""

    async def scene(queue: Queue) -> None:
        group = await queue.join()

        async def takes(one: Request, seconds: float, account: str) -> None:
            [asked] = await waiting(queue, one, account=account)
            [key] = await queue.take(group) or []
            queue._begun[key] = compute_module.InFlight(queue._begun[key].since - seconds, 1)
            await queue.answered({key: b"result"})
            await asked

        large = request("m", recipe=recipe(epochs=20))
        for seed in range(2):
            await takes(request("m", recipe=recipe(epochs=20), seed=100 + seed), 10.0, "ben")
        for seed in range(20):
            await takes(request("m", rows=np.arange(1), seed=seed), 1.0, "mallory")
        [asked] = await waiting(queue, large, account="ada")
        assert not asked.done()  # it waits: 2 CPUs for 20 seconds, of the 60 that are left

    budget = BudgetConfig(researcher=ResearcherBudget(cpu_seconds=60))
    asyncio.run(scene(Queue(configured(budget=budget), str(tmp_path))))


def test_a_budget_that_all_share_is_not_promised_to_each(tmp_path: Path) -> None:
    async def scene(queue: Queue) -> None:
        [asked] = await waiting(queue, question(0), account="ada")
        [key] = await queue.take(await queue.join()) or []
        queue._begun[key] = compute_module.InFlight(queue._begun[key].since - 2.0, 1)
        await queue.answered({key: b"result"})
        await asked
        await waiting(queue, question(1), account="ada")
        with pytest.raises(TrainingError, match=r"about 8 cpu seconds, and 6 are left .*by the campaign"):
            await queue.run(question(2), account="ben")

    asyncio.run(scene(Queue(configured(budget=BudgetConfig(cpu_seconds=10)), str(tmp_path))))


def test_whose_account_is_full_is_refused_at_once_and_nobody_else(play: Callable[..., None], tmp_path: Path) -> None:
    async def scene(queue: Queue) -> None:
        StorageQuota(tmp_path).allow("eve", 1000)
        asked = asyncio.create_task(queue.run(question(1), "eve"))
        await asyncio.sleep(0.01)
        await queue.answered({question(1).key(): bytes(2000)})
        assert await asked == question(1).key() == await queue.run(question(1), "eve")
        with pytest.raises(QuotaError, match="for eve is full"):
            await queue.run(question(2), "eve")
        with pytest.raises(QuotaError, match="for eve is full"):
            await queue.keep("a name", b"key", "eve")
        [other] = await waiting(queue, question(2))
        await queue.answered({question(2).key(): b"for the platform"})
        assert await other == question(2).key()
        assert StorageQuota(tmp_path).held("eve")["results"] == Held(2000, 1)

    play(scene)


def test_texts_are_charged_once_and_to_whom_they_are_put_for_and_outlive_the_actor(
    play: Callable[..., None], tmp_path: Path
) -> None:
    texts = (("a text",), ("another",))
    key, data = StoredTexts.of(texts).digest, texts_to_bytes(texts)

    async def put(queue: Queue) -> None:
        assert not await queue.has(key)
        with pytest.raises(TrainingError, match=f"nor texts with key {key[:12]}; they were removed .* or never put"):
            await queue.fetch(key)
        for _ in range(2):
            await queue.keep(key, data, "ada")
        assert StorageQuota(tmp_path).held("ada")["results"] == Held(len(data), 1)
        StorageQuota(tmp_path).allow("eve", 10)
        with pytest.raises(QuotaError, match="for eve is full"):
            await queue.keep(StoredTexts.of((("more",),)).digest, bytes(20), "eve")
        await queue.keep(StoredTexts.of((("ours",),)).digest, bytes(20))
        assert StorageQuota(tmp_path).held("platform")["results"] == Held()

    async def next_actor(queue: Queue) -> None:
        assert await queue.has(key) and await queue.fetch(key) == data

    play(put)
    play(next_actor)


def test_every_request_is_logged_from_the_queue_to_its_end_and_nothing_foreign_unescaped(
    play: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(queue: Queue) -> None:
        [asked] = await waiting(queue, question(1), account="ada")
        [bad] = await waiting(queue, question(2), account="ben")
        group = await queue.join()
        first, second = [(await queue.take(group) or [""])[0] for _ in range(2)]
        await queue.answered({first: b"result"})
        await queue.failed([second], ModelError("no\nmodel \x1b[2J" + "x" * 5000))
        await asked
        with pytest.raises(ModelError):
            await bad

    with caplog.at_level("INFO", logger="aar.compute.actor"):
        play(scene)
    lines = [record.getMessage() for record in caplog.records]
    key = question(1).key()[:12]
    assert f"Predict {key} for ada: queued; 1 wait, 0 run" in lines
    assert any(line.startswith(f"Predict {key} for ada: ") and line.endswith(" s") for line in lines)
    [refused] = [line for line in lines if "refused" in line]
    assert "no model <U+001B>[2J" in refused and len(refused) < 400
