"""The order in which requests are computed: fair between accounts, so that none can hold up another.

Pure: no Ray, no clock, no results. A request's cost is estimated from its sizes, and corrected once it is known. Of the
accounts with waiting requests, the one for which least was computed goes first. An account that returns after a pause
gets no credit for it, and all start even once nobody waits. Small requests go before large ones, but they put their
account ahead of its turn by no more than a fixed amount.

Covers: floods of small, of large and of wrongly estimated requests; requests that kill workers, each of which is tried
once more with nothing beside it; requests without a caller. Requests of two accounts are never computed together.
Does not cover: what a request does with its worker while it has it. Its size is bounded where it comes in.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from aar.compute.requests import FineTune, ImportAdapter, Request

MAX_BATCH = 4
"""Students that are trained side by side, at most."""
QUICK_COST = 2e5
"""The largest cost of a small request: predictions for a dataset of the quickstart's size, in characters."""
QUICK_AHEAD = 2e6
"""Cost of small requests that may go before another account's turn, and before large ones of the same account."""
MAX_DEATHS = 2
"""Workers that die over a request before it is refused."""


@dataclass
class Item:
    """A request in the queue or with a worker, and the `tickets` of its callers."""

    key: str
    request: Request
    account: str
    cost: float
    batch: str | None
    tickets: set[str] = field(default_factory=set)
    deaths: int = 0

    @property
    def is_quick(self) -> bool:
        """True if it is small enough to go before others."""
        return self.cost <= QUICK_COST and not isinstance(self.request, FineTune)


Line = OrderedDict[str, Item]


class Queue:
    """Waiting requests by account, and those that workers have."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._waiting: dict[str, Line] = {}
        self._taken: dict[str, Item] = {}
        self._items: dict[str, Item] = {}
        self._served: dict[str, float] = {}
        self._quick_cost: dict[str, float] = {}
        """By account, the cost of small requests since its last large one."""

    @property
    def counts(self) -> tuple[int, int]:
        """The numbers of requests that wait and that are with workers."""
        return len(self._items) - len(self._taken), len(self._taken)

    def pending_cost(self, account: str | None = None) -> float:
        """Return the cost of all requests that wait or are with workers: of an account, or of all."""
        return sum(item.cost for item in self._items.values() if account in (None, item.account))

    def request(self, key: str) -> Request:
        """Return the request with this key. Raises KeyError when it is neither waiting nor with a worker."""
        return self._items[key].request

    def account(self, key: str) -> str | None:
        """Return the account of a request; None when it is neither waiting nor with a worker."""
        item = self._items.get(key)
        return item.account if item else None

    def add(self, key: str, request: Request, account: str, ticket: str) -> None:
        """Queue a request. If it is queued already, the caller shares it, on the account that is served sooner."""
        queued = self._items.get(key)
        if queued is not None:
            queued.tickets.add(ticket)
            if key not in self._taken and self._position(account) < self._position(queued.account):
                self._leave(queued)
                queued.account = account
                self._enter(queued)
            return
        batch = request.batch_key() if isinstance(request, FineTune) else None
        self._items[key] = Item(key, request, account, request.cost(), batch, {ticket})
        self._enter(self._items[key])

    def next_batch(self) -> list[Item]:
        """Return the next work for a worker: one request, or several students of one account; empty if none waits."""
        if any(item.deaths for item in self._taken.values()):
            return []  # with nothing beside it, it becomes clear whether that request kills workers
        suspect = next((item for item in self._all_waiting() if item.deaths), None)
        if suspect is not None:
            return [] if self._taken else self._hand_out([suspect])
        first = self._next()
        return [] if first is None else self._hand_out(self._batch_of(first))

    def remove(self, key: str, cost: float | None = None) -> Item | None:
        """Take out a request that was answered or refused, and return it, if it was here.

        Args:
            cost: its measured cost, in the unit of the estimate; None: the estimate was right.
        """
        item = self._items.pop(key, None)
        if item is None:
            return None
        if self._taken.pop(key, None) is None:
            self._leave(item)
        elif cost is not None:
            self._served[item.account] += cost - item.cost
        return item

    def give_back(self, key: str) -> bool:
        """Requeue a request that a worker has not computed. False when it has no caller."""
        item = self._items.get(key)
        if item is None or not item.tickets:
            return False
        self._taken.pop(key, None)
        self._enter(item)
        return True

    def workers_died(self) -> list[Item]:
        """Requeue what dead workers had, each for a worker of its own; return the requests to refuse instead."""
        refused: list[Item] = []
        for item in list(self._taken.values()):
            del self._taken[item.key]
            item.deaths += 1
            if item.deaths >= MAX_DEATHS or isinstance(item.request, ImportAdapter):
                del self._items[item.key]
                refused.append(item)
            else:
                self._enter(item)
        return refused

    def withdraw(self, ticket: str) -> list[str]:
        """Drop callers whose tickets begin with `ticket`; return the keys of waiting requests that are left without."""
        removed: list[str] = []
        for item in list(self._items.values()):
            item.tickets = {held for held in item.tickets if not held.startswith(ticket)}
            if not item.tickets and item.key not in self._taken:
                self.remove(item.key)
                removed.append(item.key)
        return removed

    def is_wanted(self, key: str) -> bool:
        """True if this request has a caller."""
        item = self._items.get(key)
        return item is not None and bool(item.tickets)

    def clear(self) -> list[str]:
        """Forget all requests; return their keys."""
        keys = list(self._items)
        self._waiting.clear()
        self._taken.clear()
        self._items.clear()
        return keys

    def _next(self) -> Item | None:
        return min((self._next_of(account) for account in self._waiting), key=self._turn, default=None)

    def _next_of(self, account: str) -> Item:
        line = self._waiting[account]
        quick, large = _first(line, quick=True), _first(line, quick=False)
        wait_for_large = large is not None and self._quick_cost.get(account, 0.0) >= QUICK_AHEAD
        return next(item for item in ((large, quick) if wait_for_large else (quick, large)) if item is not None)

    def _turn(self, item: Item) -> float:
        return self._position(item.account) - (QUICK_AHEAD if item.is_quick else 0.0)

    def _batch_of(self, first: Item) -> list[Item]:
        if first.batch is None:
            return [first]
        compatible = [item for item in self._waiting[first.account].values() if item.batch == first.batch]
        fair_share = -(-len(compatible) // self._workers)
        return compatible[: min(MAX_BATCH, fair_share)]

    def _hand_out(self, items: list[Item]) -> list[Item]:
        for item in items:
            self._leave(item)
            self._taken[item.key] = item
            self._served[item.account] = self._position(item.account) + item.cost
            self._quick_cost[item.account] = (
                self._quick_cost.get(item.account, 0.0) + item.cost if item.is_quick else 0.0
            )
        return items

    def _enter(self, item: Item) -> None:
        account = item.account
        active = {*self._waiting, *(taken.account for taken in self._taken.values())}
        if account not in active:
            most = max(self._served.values(), default=0.0)
            least = min((self._position(other) for other in active), default=most)
            self._served[account] = max(self._position(account), least)
        self._waiting.setdefault(account, OrderedDict())[item.key] = item

    def _leave(self, item: Item) -> None:
        line = self._waiting[item.account]
        del line[item.key]
        if not line:
            del self._waiting[item.account]

    def _position(self, account: str) -> float:
        return self._served.get(account, 0.0)

    def _all_waiting(self) -> Iterator[Item]:
        return (item for line in self._waiting.values() for item in line.values())


def _first(line: Line, *, quick: bool) -> Item | None:
    return next((item for item in line.values() if item.is_quick is quick), None)
