"""Which request is computed next, in virtual time: no Ray, no workers, no clock."""

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aar.compute import queue as queue_module
from aar.compute.actor import MAX_WAITING
from aar.compute.queue import MAX_BATCH, MAX_DEATHS, QUICK_AHEAD, QUICK_COST, Item, Queue
from aar.compute.requests import FineTune, ImportAdapter, Predict, Request
from aar.compute.store import StoredTexts
from tests.compute.toy import recipe, request


def fit(seed: int = 0, **changes: Any) -> FineTune:
    return request("m", seed=seed, **changes)


def question(number: int = 0, characters: int = 10) -> Predict:
    return Predict("m", StoredTexts.of((("x" * characters,),)), f"student-{number}")


def put(queue: Queue, *requests: Request, account: str = "ada", ticket: str = "t") -> list[str]:
    for each in requests:
        queue.add(each.key(), each, account, ticket)
    return [each.key() for each in requests]


def taken(queue: Queue) -> list[Request]:
    return [item.request for item in queue.next_batch()]


def drain(queue: Queue) -> list[Item]:
    """Everything, in the order in which one worker would compute it."""
    order: list[Item] = []
    while items := queue.next_batch():
        order += items
        for item in items:
            queue.remove(item.key)
    return order


def test_students_of_one_account_and_batch_key_are_trained_together() -> None:
    queue = Queue(workers=1)
    seeds, other = [fit(seed) for seed in range(MAX_BATCH + 1)], fit(recipe=recipe(lora_rank=8))
    put(queue, seeds[0], other, *seeds[1:])
    assert [taken(queue) for _ in range(3)] == [seeds[:MAX_BATCH], [other], seeds[MAX_BATCH:]]


def test_students_of_two_accounts_are_never_trained_together() -> None:
    queue = Queue(workers=1)
    for account in ("ada", "mallory", "platform"):
        put(queue, *(fit(hash(account) % 1000 + seed) for seed in range(3)), account=account)
    batches: list[list[Item]] = []
    while items := queue.next_batch():
        batches.append(items)
        for item in items:
            queue.remove(item.key)
    assert len(batches) == 3 and all(len({item.account for item in batch}) == 1 for batch in batches)


def test_workers_share_what_can_be_trained_together() -> None:
    queue = Queue(workers=2)
    put(queue, *(fit(seed) for seed in range(3)))
    assert [len(queue.next_batch()) for _ in range(2)] == [2, 1]


def test_small_requests_go_before_fine_tuning_but_not_for_ever() -> None:
    queue = Queue(workers=1)
    put(queue, fit(), question(1), question(2))
    assert [type(item.request).__name__ for item in drain(queue)] == ["Predict", "Predict", "FineTune"]
    put(queue, fit(), *(question(number, 10**5) for number in range(100)))
    kinds = [type(item.request).__name__ for item in drain(queue)]
    assert kinds.index("FineTune") == pytest.approx(QUICK_AHEAD / 10**5, abs=1)


def test_a_large_question_has_no_advantage_over_fine_tuning() -> None:
    queue = Queue(workers=1)
    put(queue, *(fit(seed, recipe=recipe(lora_rank=1 + seed)) for seed in range(3)), account="ada")
    put(queue, *(question(number, characters=10**8) for number in range(3)), account="mallory")
    order = [item.account for item in drain(queue)]
    assert order.index("mallory") <= 1 and order[-2:] == ["mallory", "mallory"]


def waits(flood: Callable[[int], Request] | None, dearer: float = 1.0, before: int = 0) -> dict[str, float]:
    """Cost that is computed, on average, until an honest account's request is, while another asks for 1,000 of its own.

    Args:
        flood: the other's requests by number, as many at a time as an account may have; None: it asks for nothing.
        dearer: what its requests cost in truth, as a multiple of their estimate.
        before: fits that each honest account has had before, after which the queue was empty.
    """
    queue, honest = Queue(workers=1), [f"researcher-{number}" for number in range(8)]
    for at, name in enumerate(honest):
        put(queue, *(fit(10_000 * (1 + at) + number) for number in range(before)), account=name)
        drain(queue)
    todo = {name: deque(fit(100 * at + number) for number in range(10)) for at, name in enumerate(honest)}
    hostile = deque(flood(number) for number in range(1000)) if flood else deque()
    now, waiting, asked, waited = 0.0, 0, {}, Counter[str]()
    while any(todo.values()) or asked:
        while hostile and waiting < MAX_WAITING:
            put(queue, hostile.popleft(), account="mallory")
            waiting += 1
        for name in honest:
            if name not in asked and todo[name]:
                asked[name] = now
                put(queue, todo[name].popleft(), account=name)
        for item in queue.next_batch():
            cost = item.cost * (dearer if item.account == "mallory" else 1.0)
            now += cost
            queue.remove(item.key, cost)
            waiting -= item.account == "mallory"
            if item.account in asked:
                waited[item.account] += now - asked.pop(item.account)
    return {name: waited[name] / 10 for name in honest}


@pytest.mark.parametrize(
    ("flood", "dearer", "before"),
    [(lambda number: fit(1_000_000 + number), 1, 0), (lambda number: fit(1_000_000 + number), 1, 100),
     (lambda number: fit(1_000_000 + number, rows=np.arange(1)), 40, 0)],
    ids=["fits", "fits that begin when no other waits", "fits of one row, whose start costs more than they do"],
)  # fmt: skip
def test_a_flood_of_a_thousand_requests_makes_no_other_account_wait_twice_as_long(
    flood: Callable[[int], Request], dearer: float, before: int
) -> None:
    quiet, flooded = waits(None), waits(flood, dearer, before)
    assert all(flooded[name] < 1.6 * quiet[name] for name in quiet)


def test_a_flood_of_small_requests_makes_no_other_account_wait_twice_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the proportions of a campaign, in which a fit costs a few of the largest small requests."""
    monkeypatch.setattr(queue_module, "QUICK_COST", fit().cost() / 4)
    monkeypatch.setattr(queue_module, "QUICK_AHEAD", fit().cost() * 2.5)
    quiet, flooded = waits(None), waits(lambda number: question(number, int(fit().cost() / 4)))
    assert all(flooded[name] < 1.6 * quiet[name] for name in quiet)


def test_small_requests_of_an_account_that_had_much_wait_their_turn() -> None:
    queue = Queue(workers=1)
    put(queue, fit(), account="ada")
    put(queue, *(question(number, int(QUICK_COST)) for number in range(100)), account="mallory")
    accounts = [item.account for item in drain(queue)]
    assert accounts.index("ada") == pytest.approx(QUICK_AHEAD / QUICK_COST, abs=1)


def test_an_account_that_returns_after_a_pause_has_saved_up_nothing() -> None:
    queue = Queue(workers=1)
    put(queue, *(fit(seed, recipe=recipe(epochs=1 + seed)) for seed in range(20)), account="ada")
    for _ in range(3):
        for item in queue.next_batch():
            queue.remove(item.key)
    put(queue, *(fit(100 + seed, recipe=recipe(epochs=4, lora_rank=4 + seed)) for seed in range(10)), account="ben")
    order = [item.account for item in drain(queue)]
    assert "ada" in order[:8] and "ben" in order[:8]


def test_two_accounts_share_an_equal_request_on_the_account_that_is_served_sooner() -> None:
    queue = Queue(workers=1)
    put(queue, *(fit(seed, recipe=recipe(lora_rank=1 + seed)) for seed in range(10)), account="mallory")
    for item in queue.next_batch():
        queue.remove(item.key)
    [wanted] = put(queue, fit(9, recipe=recipe(lora_rank=10)), account="ada")
    assert wanted in {item.key for _ in range(2) for item in queue.next_batch()}


def test_requests_of_dead_workers_are_tried_once_more_alone_and_then_refused() -> None:
    queue = Queue(workers=2)
    killer, innocent, later = put(queue, fit(1), fit(2), fit(3, recipe=recipe(lora_rank=8)))
    assert {item.key for _ in range(2) for item in queue.next_batch()} == {killer, innocent}
    assert queue.workers_died() == []
    [first] = queue.next_batch()
    assert first.key == killer and queue.next_batch() == []
    assert [item.key for item in queue.workers_died()] == [killer]
    [second] = queue.next_batch()
    assert second.key == innocent and queue.next_batch() == []
    queue.remove(innocent)
    assert [item.key for item in queue.next_batch()] == [later]
    assert MAX_DEATHS == 2


def test_weights_from_elsewhere_that_killed_a_worker_are_not_tried_again() -> None:
    queue = Queue(workers=1)
    [key] = put(queue, ImportAdapter("m", (" A", " B"), recipe(), b"weights"))
    queue.next_batch()
    assert [item.key for item in queue.workers_died()] == [key] and queue.next_batch() == []


def test_a_request_without_a_caller_leaves_and_is_not_wanted() -> None:
    queue = Queue(workers=1)
    shared, running, waiting = fit(1), fit(2, recipe=recipe(lora_rank=8)), fit(3, recipe=recipe(lora_rank=2))
    put(queue, running, ticket="run-1/a")
    [key] = [item.key for item in queue.next_batch()]
    put(queue, shared, waiting, ticket="run-1/b")
    put(queue, shared, ticket="run-2")
    assert queue.withdraw("run-1/") == [waiting.key()]
    assert not queue.is_wanted(key) and queue.is_wanted(shared.key())
    put(queue, running, ticket="run-3")
    assert queue.is_wanted(key) and queue.give_back(key)
    assert {item.key for item in drain(queue)} == {shared.key(), key}
    assert not queue.give_back(key)


def test_costs_grow_with_what_is_read_and_visited() -> None:
    assert question(characters=2000).cost() == 2 * question(characters=1000).cost()
    once, often = fit(recipe=recipe(epochs=1)), fit(recipe=recipe(epochs=20), rows=np.tile(np.arange(48), 20))
    assert often.cost() == pytest.approx(400 * once.cost())
