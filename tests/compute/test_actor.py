"""The compute actor, served by the test itself instead of by workers: no Ray, no training."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray.train import TrainingFailedError

from aar.budget import Resources, StorageQuota, UsageStore
from aar.budget.quota import Held
from aar.compute import actor as actor_module
from aar.compute.actor import MAX_WAITING, Compute, OnEnd, run_until_end
from aar.compute.queue import MAX_DEATHS
from aar.compute.requests import Predict, Request
from aar.compute.store import StoredTexts, texts_to_bytes
from aar.config import BudgetConfig, CampaignConfig, ComputeConfig, ResearcherBudget
from aar.errors import ComputeError, ModelError, QuotaError, StorageError, TrainingError, WithdrawnError
from tests.compute.toy import recipe, request
from tests.scoring.doubles import campaign


class Workers:
    """Training workers of which only the start and the end are played."""

    def __init__(self) -> None:
        self.starts = 0
        self.end: OnEnd = lambda error: None

    def start(self, on_end: OnEnd) -> None:
        self.starts += 1
        self.end = on_end


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def configured(budget: BudgetConfig | None = None) -> CampaignConfig:
    changes = {"compute": ComputeConfig(workers=1), "budget": budget or BudgetConfig()}
    return campaign("nowhere").model_copy(update=changes)


Scene = Callable[[Compute], Coroutine[Any, Any, None]]


@pytest.fixture
def workers() -> Workers:
    return Workers()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def play(tmp_path: Path, workers: Workers, clock: Clock) -> Callable[..., None]:
    """Plays a scene with an actor, whose folder is that of the actor of the scene before."""

    def run(scene: Scene, budget: BudgetConfig | None = None, start: Callable[[OnEnd], None] = workers.start) -> None:
        asyncio.run(scene(Compute(configured(budget=budget), str(tmp_path), start, clock)))

    return run


async def waiting(compute: Compute, *requests: Request, **who: str) -> list[asyncio.Task[str]]:
    """Ask for these and let them reach the compute."""
    tasks = [asyncio.create_task(compute.run(each, **who)) for each in requests]
    await asyncio.sleep(0.01)
    return tasks


def question(number: int = 0) -> Predict:
    return Predict("m", StoredTexts.of((("a",),)), f"student-{number}")


def test_equal_requests_are_computed_once_and_all_get_the_result(play: Callable[..., None]) -> None:
    async def scene(compute: Compute) -> None:
        asked = await waiting(compute, question(), question(), question())
        [key] = await compute.next_batch(await compute.register_workers()) or []
        assert await compute.requests([key]) == [question()]
        assert await compute.status() == {"waiting": 0, "running": 1, "computed": 0}
        asked += await waiting(compute, question())
        await compute.complete({key: b"result"})
        assert {await one for one in asked} == {key}
        assert await compute.get(key) == b"result"
        assert await compute.status() == {"waiting": 0, "running": 0, "computed": 1}

    play(scene)


def test_what_was_computed_is_not_computed_again_even_by_the_next_actor(
    play: Callable[..., None], workers: Workers
) -> None:
    async def first(compute: Compute) -> None:
        [asked] = await waiting(compute, question())
        await compute.complete({question().key(): b"result"})
        await asked

    async def second(compute: Compute) -> None:
        assert await compute.get(await compute.run(question())) == b"result"
        assert workers.starts == 1

    play(first)
    play(second)


def test_a_failed_request_fails_for_all_its_callers_and_may_be_made_again(play: Callable[..., None]) -> None:
    async def scene(compute: Compute) -> None:
        asked = await waiting(compute, question(), question())
        group = await compute.register_workers()
        await compute.next_batch(group)
        await compute.fail([question().key()], ModelError("no such model"))
        for one in asked:
            with pytest.raises(ModelError, match="no such model"):
                await one
        [again] = await waiting(compute, question())
        assert len(await compute.next_batch(group) or []) == 1
        await compute.complete({question().key(): b"now"})
        assert await again == question().key()

    play(scene)


def test_requests_of_dead_workers_come_first_again(play: Callable[..., None]) -> None:
    async def scene(compute: Compute) -> None:
        [asked, *_] = await waiting(compute, question(1), question(2))
        dead = await compute.register_workers()
        [key] = await compute.next_batch(dead) or []
        alive = await compute.register_workers()
        assert await compute.next_batch(dead) is None
        assert await compute.next_batch(alive) == [key]
        await compute.complete({key: b"result"})
        assert await asked == key

    play(scene)


def test_a_request_over_which_workers_keep_dying_is_given_up(play: Callable[..., None]) -> None:
    async def scene(compute: Compute) -> None:
        asked = await waiting(compute, question(1))
        for _ in range(MAX_DEATHS):
            await compute.next_batch(await compute.register_workers())
        await compute.register_workers()
        with pytest.raises(TrainingError, match=f"{MAX_DEATHS} workers died while running this Predict request"):
            await asked[0]
        asked = await waiting(compute, question(2))
        assert len(await compute.next_batch(await compute.register_workers()) or []) == 1

    play(scene)


def test_a_caller_that_gives_up_does_not_take_the_result_from_others(play: Callable[..., None]) -> None:
    async def scene(compute: Compute) -> None:
        impatient, patient = await waiting(compute, question(), question())
        impatient.cancel()
        await asyncio.sleep(0.01)
        await compute.complete({question().key(): b"result"})
        assert await patient == question().key()

    play(scene)


def test_a_result_that_cannot_be_kept_is_the_callers_error(play: Callable[..., None], tmp_path: Path) -> None:
    async def scene(compute: Compute) -> None:
        (tmp_path / "artifacts").mkdir()
        [asked] = await waiting(compute, question())
        (tmp_path / "artifacts" / question().key()[:2]).touch()  # a file where a folder should be
        await compute.complete({question().key(): b"x"})
        with pytest.raises(StorageError, match=question().key()):
            await asked

    play(scene)


def test_a_worker_without_work_gets_none_after_a_while(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actor_module, "LONG_POLL_SECONDS", 0.05)

    async def scene(compute: Compute) -> None:
        assert await compute.next_batch(await compute.register_workers()) == []

    play(scene)


def test_stopping_ends_the_workers(play: Callable[..., None]) -> None:
    async def scene(compute: Compute) -> None:
        group = await compute.register_workers()
        await compute.stop()
        assert await compute.next_batch(group) is None

    play(scene)


def test_when_the_workers_are_gone_for_good_all_callers_get_an_error_and_the_next_one_starts_others(
    play: Callable[..., None], workers: Workers
) -> None:
    async def scene(compute: Compute) -> None:
        asked = await waiting(compute, question(1), question(2))
        await compute.next_batch(await compute.register_workers())
        workers.end(ComputeError("gone"))
        for one in asked:
            with pytest.raises(ComputeError, match="gone"):
                await one
        assert await compute.status() == {"waiting": 0, "running": 0, "computed": 0}
        [again] = await waiting(compute, question(1))
        assert workers.starts == 2 and not again.done()

    play(scene)


def test_workers_start_with_the_first_request_and_once(play: Callable[..., None], workers: Workers) -> None:
    async def scene(compute: Compute) -> None:
        assert workers.starts == 0
        await waiting(compute, question(1), question(2))
        await waiting(compute, question(3))
        assert workers.starts == 1

    play(scene)


def test_workers_that_cannot_be_started_leave_no_caller_waiting(play: Callable[..., None]) -> None:
    def broken() -> None:
        raise OSError("no storage")

    def start(on_end: OnEnd) -> None:
        with pytest.raises(OSError, match="no storage"):
            run_until_end(broken, lambda error: asyncio.get_running_loop().call_soon(on_end, error))

    async def scene(compute: Compute) -> None:
        [asked] = await waiting(compute, question())
        with pytest.raises(ComputeError, match="could not be started; the compute actor's log says why"):
            await asked

    play(scene, start=start)


@pytest.mark.parametrize(
    ("failure", "message"),
    [(None, "the training workers have ended"),
     (TrainingFailedError("out of memory"), "failed and were not started again: .*out of memory")],
)  # fmt: skip
def test_callers_learn_how_the_workers_ended(failure: Exception | None, message: str) -> None:
    def job() -> None:
        if failure:
            raise failure

    reasons: list[ComputeError] = []
    run_until_end(job, reasons.append)
    assert len(reasons) == 1 and re.search(message, str(reasons[0]))


def test_a_key_without_result_is_an_error(play: Callable[..., None]) -> None:
    async def scene(compute: Compute) -> None:
        with pytest.raises(TrainingError, match="there are neither results nor texts with key abcabcabcabc;"):
            await compute.get("abc" * 20)

    play(scene)


def test_a_request_whose_caller_is_gone_ends(play: Callable[..., None]) -> None:
    async def scene(compute: Compute) -> None:
        [gone] = await waiting(compute, question(1), account="ada", ticket="run-1")
        [running] = await waiting(compute, request("m"), account="ada", ticket="run-2")
        await compute.withdraw("run-1")
        with pytest.raises(WithdrawnError, match="no caller is waiting"):
            await gone
        [key] = await compute.next_batch(await compute.register_workers()) or []
        assert key == request("m").key() and await compute.is_wanted([key])
        await compute.withdraw("run-2")
        assert not await compute.is_wanted([key])
        await compute.fail([key], WithdrawnError("it was ended"))
        with pytest.raises(WithdrawnError):
            await running

    play(scene)


def test_one_that_is_asked_for_again_while_it_ends_is_computed(play: Callable[..., None]) -> None:
    async def scene(compute: Compute) -> None:
        [gone] = await waiting(compute, request("m"), account="ada", ticket="run-1")
        group = await compute.register_workers()
        [key] = await compute.next_batch(group) or []
        await compute.withdraw("run-1")
        [again] = await waiting(compute, request("m"), account="ben", ticket="run-2")
        await compute.fail([key], WithdrawnError("it was ended"))
        assert await compute.next_batch(group) == [key]
        await compute.complete({key: b"result"})
        assert await gone == await again == key

    play(scene)


def test_a_flood_is_refused_for_its_account_alone(play: Callable[..., None]) -> None:
    async def scene(compute: Compute) -> None:
        await waiting(compute, *(question(number) for number in range(MAX_WAITING)), account="mallory")
        with pytest.raises(TrainingError, match=f"mallory already has {MAX_WAITING} pending requests"):
            await compute.run(question(MAX_WAITING), account="mallory")
        [asked] = await waiting(compute, question(-1), account="ada")
        [first, *_] = [await compute.next_batch(await compute.register_workers()) for _ in range(2)]
        assert first is not None and not asked.done()

    play(scene)


async def takes(compute: Compute, clock: Clock, generation: int, work: Request, seconds: float, account: str) -> None:
    """Let a request of an account be answered after so many seconds on a worker."""
    [asked] = await waiting(compute, work, account=account)
    [key] = await compute.next_batch(generation) or []
    clock.now += seconds
    await compute.complete({key: b"result"})
    await asked


def test_what_would_take_more_device_time_than_is_left_is_refused_before_it_is_queued(
    play: Callable[..., None], clock: Clock, tmp_path: Path
) -> None:
    async def scene(compute: Compute) -> None:
        await takes(compute, clock, await compute.register_workers(), question(0), 2.0, "ada")
        await waiting(compute, question(1), account="ada")
        with pytest.raises(TrainingError, match="need about 8 cpu seconds, and 6 are left"):
            await compute.run(question(2), account="ada")
        await waiting(compute, question(3), account="ben")

    UsageStore(tmp_path).add("ada", "before", resources=Resources(cpu_seconds=10))
    budget = BudgetConfig(researcher=ResearcherBudget(cpu_seconds=20))
    play(scene, budget)


def test_small_fits_of_one_account_do_not_make_others_requests_look_expensive(
    play: Callable[..., None], clock: Clock
) -> None:
    """The time before a fit's first step is most of a tiny fit's time, and does not predict that of large ones."""

    async def scene(compute: Compute) -> None:
        generation = await compute.register_workers()
        large = request("m", recipe=recipe(epochs=20))
        for seed in range(2):
            await takes(
                compute, clock, generation, request("m", recipe=recipe(epochs=20), seed=100 + seed), 10.0, "ben"
            )
        for seed in range(20):
            await takes(compute, clock, generation, request("m", rows=np.arange(1), seed=seed), 1.0, "mallory")
        [asked] = await waiting(compute, large, account="ada")
        assert not asked.done()  # it waits: 2 CPUs for 20 seconds, of the 60 that are left

    budget = BudgetConfig(researcher=ResearcherBudget(cpu_seconds=60))
    play(scene, budget)


def test_a_budget_that_all_share_is_not_promised_to_each(play: Callable[..., None], clock: Clock) -> None:
    async def scene(compute: Compute) -> None:
        await takes(compute, clock, await compute.register_workers(), question(0), 2.0, "ada")
        await waiting(compute, question(1), account="ada")
        with pytest.raises(TrainingError, match=r"about 8 cpu seconds, and 6 are left .*by the campaign"):
            await compute.run(question(2), account="ben")

    play(scene, BudgetConfig(cpu_seconds=10))


def test_an_account_that_is_full_is_refused_at_once_and_no_other(play: Callable[..., None], tmp_path: Path) -> None:
    async def scene(compute: Compute) -> None:
        StorageQuota(tmp_path).allow("eve", 1000)
        asked = asyncio.create_task(compute.run(question(1), "eve"))
        await asyncio.sleep(0.01)
        await compute.complete({question(1).key(): bytes(2000)})
        assert await asked == question(1).key() == await compute.run(question(1), "eve")
        with pytest.raises(QuotaError, match="for eve is full"):
            await compute.run(question(2), "eve")
        with pytest.raises(QuotaError, match="for eve is full"):
            await compute.put("a name", b"key", "eve")
        [other] = await waiting(compute, question(2))
        await compute.complete({question(2).key(): b"for the platform"})
        assert await other == question(2).key()
        assert StorageQuota(tmp_path).held("eve")["results"] == Held(2000, 1)

    play(scene)


def test_texts_are_charged_once_to_the_account_that_puts_them_and_outlive_the_actor(
    play: Callable[..., None], tmp_path: Path
) -> None:
    texts = (("a text",), ("another",))
    key, data = StoredTexts.of(texts).digest, texts_to_bytes(texts)

    async def put(compute: Compute) -> None:
        assert not await compute.has(key)
        with pytest.raises(TrainingError, match=f"nor texts with key {key[:12]}; they were removed .* or never put"):
            await compute.get(key)
        for _ in range(2):
            await compute.put(key, data, "ada")
        assert StorageQuota(tmp_path).held("ada")["results"] == Held(len(data), 1)
        StorageQuota(tmp_path).allow("eve", 10)
        with pytest.raises(QuotaError, match="for eve is full"):
            await compute.put(StoredTexts.of((("more",),)).digest, bytes(20), "eve")
        await compute.put(StoredTexts.of((("ours",),)).digest, bytes(20))
        assert StorageQuota(tmp_path).held("platform")["results"] == Held()

    async def next_actor(compute: Compute) -> None:
        assert await compute.has(key) and await compute.get(key) == data

    play(put)
    play(next_actor)


def test_every_request_is_logged_from_the_queue_to_its_end_and_nothing_foreign_unescaped(
    play: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(compute: Compute) -> None:
        [asked] = await waiting(compute, question(1), account="ada")
        [bad] = await waiting(compute, question(2), account="ben")
        group = await compute.register_workers()
        first, second = [(await compute.next_batch(group) or [""])[0] for _ in range(2)]
        await compute.complete({first: b"result"})
        await compute.fail([second], ModelError("no\nmodel \x1b[2J" + "x" * 5000))
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


def test_however_many_wait_the_calls_of_workers_get_through(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actor_module, "MAX_CALLS", actor_module.RESERVED_CALLS + 2)

    async def scene(compute: Compute) -> None:
        first, second = await waiting(compute, question(1), question(2))
        with pytest.raises(TrainingError, match=r"the queue is full \(2 pending requests\); retry later"):
            await compute.run(question(3))
        generation = await compute.register_workers()
        for _ in range(2):
            [key] = await compute.next_batch(generation) or []
            await compute.complete({key: b"result"})
        assert {await first, await second} == {question(1).key(), question(2).key()}
        await waiting(compute, question(3))

    play(scene)


def test_what_is_trained_together_shares_the_time_that_it_took(
    play: Callable[..., None], clock: Clock, tmp_path: Path
) -> None:
    async def scene(compute: Compute) -> None:
        asked = await waiting(compute, request("m", seed=1), request("m", seed=2), account="ada")
        keys = await compute.next_batch(await compute.register_workers()) or []
        clock.now += 10.0
        await compute.complete(dict.fromkeys(keys, b"result"))
        assert {await task for task in asked} == set(keys) and len(keys) == 2

    play(scene)
    assert UsageStore(tmp_path).spent("ada").resources.cpu_seconds == 10.0 * ComputeConfig().cpus_per_worker


def test_a_request_that_failed_is_charged_and_says_nothing_about_how_long_others_take(
    play: Callable[..., None], clock: Clock, tmp_path: Path
) -> None:
    async def scene(compute: Compute) -> None:
        [bad] = await waiting(compute, question(1), account="ada")
        [key] = await compute.next_batch(await compute.register_workers()) or []
        clock.now += 50.0
        await compute.fail([key], ModelError("no"))
        with pytest.raises(ModelError):
            await bad
        [next_one] = await waiting(compute, question(2), account="ada")
        assert not next_one.done()  # its estimate is unknown still, and so within what is left

    cpus = ComputeConfig().cpus_per_worker
    play(scene, BudgetConfig(researcher=ResearcherBudget(cpu_seconds=50 * cpus + 1)))
    assert UsageStore(tmp_path).spent("ada").resources.cpu_seconds == 50.0 * cpus


def test_device_time_outside_the_workers_is_charged_once_for_a_key(play: Callable[..., None], tmp_path: Path) -> None:
    async def scene(compute: Compute) -> None:
        for _ in range(2):
            await compute.charge("ada", "program/1", Resources(cpu_seconds=3, gpu_seconds=1))
        await compute.charge("ada", "program/2", Resources(cpu_seconds=4))

    play(scene)
    spent = UsageStore(tmp_path).spent("ada").resources
    assert (spent.cpu_seconds, spent.gpu_seconds) == (7.0, 1.0)


def test_students_are_counted_once_whether_they_were_computed_or_known(play: Callable[..., None]) -> None:
    async def scene(compute: Compute) -> None:
        tasks = await waiting(compute, request("m"), request("m", seed=2), question())
        generation = await compute.register_workers()
        while not all(task.done() for task in tasks):
            await compute.complete(dict.fromkeys(await compute.next_batch(generation) or [], b"result"))
            await asyncio.sleep(0)
        for _ in range(2):
            await compute.run(request("m"))
        assert await compute.fits_given() == 2

    async def next_actor(compute: Compute) -> None:
        assert await compute.fits_given() == 0
        await compute.run(request("m"))
        assert await compute.fits_given() == 1

    play(scene)
    play(next_actor)
