"""Who comes first where requests wait: the client that has recently used the least."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import chain
from typing import Generic, TypeVar

_HALF_LIFE_S = 2.0
_NEXT_JOB_S = 1.0  # within which a client that sends one image after the other sends the next
_FORGOTTEN_S = 1e-3  # an account of less is as good as none
_MANY_ACCOUNTS = 1_000
_REFUSED_WEIGHT = 16.0
_REFUSED_S = 0.25

_T = TypeVar("_T")


class FairShare:
    """The seconds of threads and of the event loop that each client has recently used.

    A second of the predictor, which is one for all, counts as much as one of every codec thread.
    What was used counts half after two seconds, and so on: decay-usage scheduling, as Unix does it
    for processes (Hellerstein, Achieving service rate objectives with decay usage scheduling, IEEE
    Transactions on Software Engineering 19(8), 1993).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._accounts: dict[str, tuple[float, float]] = {}  # seconds, and when they were so many
        self._at_work: Counter[str] = Counter()
        self._expected: dict[str, float] = {}  # until when

    def used_s(self, client: str) -> float:
        """What `client` has recently used."""
        seconds, since = self._accounts.get(client, (0.0, 0.0))
        return seconds * 0.5 ** ((self._clock() - since) / _HALF_LIFE_S) if seconds else 0.0

    def charge(self, client: str, seconds: float) -> None:
        """Add `seconds` to what `client` has used."""
        if client not in self._accounts and len(self._accounts) >= _MANY_ACCOUNTS:
            self._forget()
        self._accounts[client] = self.used_s(client) + seconds, self._clock()

    @contextmanager
    def at_work(self, client: str) -> Iterator[None]:
        """During the block, a job of `client` waits or is at work."""
        self._at_work[client] += 1
        try:
            yield
        finally:
            self._at_work[client] -= 1
            if not self._at_work[client]:
                del self._at_work[client]
            self.expect(client, _NEXT_JOB_S)

    def expect(self, client: str, seconds: float) -> None:
        """Count on a further job of `client` within `seconds`."""
        now = self._clock()
        if client not in self._expected and len(self._expected) >= _MANY_ACCOUNTS:
            soonest = sorted(self._expected.items(), key=lambda item: item[1])
            still = [(name, until) for name, until in soonest if until >= now]
            self._expected = dict(still[: _MANY_ACCOUNTS // 2])
        self._expected[client] = now + seconds

    def is_ahead(self, client: str) -> bool:
        """Whether `client` has used more than another one that has a job at work or is expected."""
        now, used_s = self._clock(), self.used_s(client)
        expected = (name for name, until in self._expected.items() if until >= now)
        return any(
            other != client and self.used_s(other) < used_s
            for other in chain(self._at_work, expected)
        )

    def _forget(self) -> None:
        """Drop the accounts that have decayed; if all are in use, the smaller half of them."""
        used = sorted((self.used_s(client), client) for client in self._accounts)
        half = len(used) // 2
        for index, (seconds, client) in enumerate(used):
            if seconds < _FORGOTTEN_S or index < half:
                del self._accounts[client]


class Visit:
    """One request of a client, and what it has used so far."""

    def __init__(self, share: FairShare, client: str) -> None:
        self._share = share
        self.client = client
        self.used_s = 0.0
        self.paced_s = 0.0
        """That part of it for which the client has waited its turn; see `Pacer`."""

    def charge(self, seconds: float) -> None:
        """Count `seconds` that the service has worked for this request."""
        self.used_s += seconds
        self._share.charge(self.client, seconds)

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Charge the time of the block."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.charge(time.perf_counter() - started)

    def refuse(self) -> None:
        """Charge a refused request many times over: it has cost time and was of use to nobody.

        So a client that sends such requests again and again waits behind those whose are good,
        even if it sends them from many addresses.
        """
        self._share.charge(self.client, _REFUSED_WEIGHT * self.used_s + _REFUSED_S)


class FairQueue(Generic[_T]):
    """Items that wait. The next one is the oldest one of the client that has used the least."""

    def __init__(self, share: FairShare) -> None:
        self._share = share
        self._waiting: dict[str, deque[_T]] = {}
        self._filled = asyncio.Event()

    def clients(self) -> list[str]:
        """Whose items wait, the next one's client first."""
        return sorted(self._waiting, key=self._share.used_s)

    def __len__(self) -> int:
        """The number of items."""
        return sum(map(len, self._waiting.values()))

    def __iter__(self) -> Iterator[_T]:
        """The items, those of a client together."""
        return chain.from_iterable(self._waiting.values())

    def put_nowait(self, client: str, item: _T) -> None:
        """Add an item of `client`."""
        self._waiting.setdefault(client, deque()).append(item)
        self._filled.set()

    def get_nowait(self, client: str | None = None) -> _T:
        """Remove the next item, or the next one of `client`; there must be one."""
        if client is None:
            client = min(self._waiting, key=self._share.used_s)
        items = self._waiting[client]
        item = items.popleft()
        if not items:
            del self._waiting[client]
        if not self._waiting:
            self._filled.clear()
        return item

    async def wait_until_filled(self) -> None:
        """Wait for an item."""
        await self._filled.wait()


class FairSlots:
    """A semaphore that a client which has used less gets before others.

    With `at_most_half`, a client that is ahead of others (see `FairShare.is_ahead`) holds no more
    than half of the slots, so that those need not wait until one of its jobs has ended.
    """

    def __init__(self, share: FairShare, slots: int, *, at_most_half: bool = False) -> None:
        self._share = share
        self._free = slots
        self._held: Counter[str] = Counter()
        self._most_ahead = max(1, slots // 2) if at_most_half else slots
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue(share)

    @asynccontextmanager
    async def slot(self, client: str) -> AsyncIterator[None]:
        """Hold a slot during the block."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(client, turn)
        self._give_turns()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._free += 1
                self._held -= Counter((client,))
            self._give_turns()

    def _give_turns(self) -> None:
        while self._free and (client := self._next_client()) is not None:
            turn = self._queue.get_nowait(client)
            if not turn.done():
                self._free -= 1
                self._held[client] += 1
                turn.set_result(None)

    def _next_client(self) -> str | None:
        for client in self._queue.clients():
            if self._held[client] < self._most_ahead or not self._share.is_ahead(client):
                return client
        return None
