"""The order in which requests are computed: fair between accounts, with no account in another's way.

Pure: no Ray, no clock, no results. What a request costs is estimated from its sizes, and corrected once it is known. Of
the accounts that wait, the one for which least was computed goes first; one that comes back after a pause is given no
credit for it, and where nobody waits all begin even again. Small requests go before large ones, but put their account
ahead of its turn by no more than a fixed sum.

Covers: floods of small, of large and of wrongly estimated requests, requests that kill workers (each of which is tried
once more with nothing beside it), requests that nobody waits for any longer. Requests of two accounts are never
computed together.
Does not cover: what one request does with its worker while it has it; its size is bounded where it comes in.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from aar.compute.requests import FineTune, ImportAdapter, Request

TOGETHER = 4
"""The most students that are trained side by side."""
QUICK_COST = 2e5
"""Characters up to which a request counts as small: predictions for a data set of the quickstart's size."""
QUICK_AHEAD = 2e6
"""Characters by which small requests may go before others' turn, and before large ones of the same account."""
MOST_DEATHS = 2
"""Workers that may die over one request before it is refused."""


@dataclass
class Item:
    """A request in the queue or with a worker, and the `tickets` of those who wait for it."""

    key: str
    request: Request
    account: str
    cost: float
    batch: str | None
    tickets: set[str] = field(default_factory=set)
    deaths: int = 0

    @property
    def is_quick(self) -> bool:
        """Is it small enough to go before others?"""
        return self.cost <= QUICK_COST and not isinstance(self.request, FineTune)


Line = OrderedDict[str, Item]


class Queue:
    """Requests by account, and those that workers have."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._waiting: dict[str, Line] = {}
        self._taken: dict[str, Item] = {}
        self._items: dict[str, Item] = {}
        self._served: dict[str, float] = {}
        self._quick: dict[str, float] = {}
        """Cost of each account's small requests since its last large one."""

    @property
    def counts(self) -> tuple[int, int]:
        """How many requests wait, and how many are with workers."""
        return len(self._items) - len(self._taken), len(self._taken)

    def pending_cost(self, account: str | None = None) -> float:
        """What requests will cost that wait or are with workers: an account's, or everybody's."""
        return sum(item.cost for item in self._items.values() if account in (None, item.account))

    def request(self, key: str) -> Request:
        """The request with this key. Raises KeyError when it is neither waiting nor with a worker."""
        return self._items[key].request

    def account(self, key: str) -> str | None:
        """Whose request this is; None when it is neither waiting nor with a worker."""
        item = self._items.get(key)
        return item.account if item else None

    def add(self, key: str, request: Request, account: str, ticket: str) -> None:
        """Queue a request; who asks for one that waits already waits with it, on the account that is served sooner."""
        known = self._items.get(key)
        if known is not None:
            known.tickets.add(ticket)
            if key not in self._taken and self._position(account) < self._position(known.account):
                self._leave(known)
                known.account = account
                self._enter(known)
            return
        batch = request.batch_key() if isinstance(request, FineTune) else None
        self._items[key] = Item(key, request, account, request.cost(), batch, {ticket})
        self._enter(self._items[key])

    def take(self) -> list[Item]:
        """The next work for a worker: one request, or several students of one account; empty when there is none."""
        if any(item.deaths for item in self._taken.values()):
            return []  # it is found out whether that one kills workers, with nothing beside it
        suspect = next((item for item in self._all_waiting() if item.deaths), None)
        if suspect is not None:
            return [] if self._taken else self._hand_out([suspect])
        first = self._next()
        return [] if first is None else self._hand_out(self._together(first))

    def done(self, key: str, cost: float | None = None) -> Item | None:
        """A worker has answered this one, or it is answered otherwise: it leaves.

        Args:
            cost: what it has cost in truth, in the unit of the estimate; None: as much as was estimated.
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
        """A worker has not computed a request that is wanted: it waits again. False when nobody wants it."""
        item = self._items.get(key)
        if item is None or not item.tickets:
            return False
        self._taken.pop(key, None)
        self._enter(item)
        return True

    def workers_died(self) -> list[Item]:
        """All workers have gone: what they had waits again, each for a worker of its own; returns what is refused."""
        refused: list[Item] = []
        for item in list(self._taken.values()):
            del self._taken[item.key]
            item.deaths += 1
            if item.deaths >= MOST_DEATHS or isinstance(item.request, ImportAdapter):
                del self._items[item.key]
                refused.append(item)
            else:
                self._enter(item)
        return refused

    def withdraw(self, ticket: str) -> list[str]:
        """Whoever has a ticket that begins so waits no longer; returns the keys of waiting requests that leave."""
        gone: list[str] = []
        for item in list(self._items.values()):
            item.tickets = {one for one in item.tickets if not one.startswith(ticket)}
            if not item.tickets and item.key not in self._taken:
                self.done(item.key)
                gone.append(item.key)
        return gone

    def is_wanted(self, key: str) -> bool:
        """Does anybody wait for this request?"""
        item = self._items.get(key)
        return item is not None and bool(item.tickets)

    def clear(self) -> list[str]:
        """Forget all requests; returns their keys."""
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
        wait_for_large = large is not None and self._quick.get(account, 0.0) >= QUICK_AHEAD
        return next(item for item in ((large, quick) if wait_for_large else (quick, large)) if item is not None)

    def _turn(self, item: Item) -> float:
        return self._position(item.account) - (QUICK_AHEAD if item.is_quick else 0.0)

    def _together(self, first: Item) -> list[Item]:
        if first.batch is None:
            return [first]
        alike = [item for item in self._waiting[first.account].values() if item.batch == first.batch]
        fair_share = -(-len(alike) // self._workers)
        return alike[: min(TOGETHER, fair_share)]

    def _hand_out(self, items: list[Item]) -> list[Item]:
        for item in items:
            self._leave(item)
            self._taken[item.key] = item
            self._served[item.account] = self._position(item.account) + item.cost
            self._quick[item.account] = self._quick.get(item.account, 0.0) + item.cost if item.is_quick else 0.0
        return items

    def _enter(self, item: Item) -> None:
        account = item.account
        active = {*self._waiting, *(taken.account for taken in self._taken.values())}
        if account not in active:
            most = max(self._served.values(), default=0.0)
            least = min((self._position(one) for one in active), default=most)
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
