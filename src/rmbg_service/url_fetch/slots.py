"""How many images are fetched at once, and for whom."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rmbg_service.errors import Overloaded


class FetchSlots:
    """So many fetches at once; no client keeps all of them from the others.

    A client that finds none free takes one from the client that holds the most, if those are at
    least two more than its own. It takes the one held longest: that host is the slowest.
    """

    def __init__(self, slots: int, retry_after_s: int) -> None:
        self._free = slots
        self._retry_after_s = retry_after_s
        self._held: dict[str, list[asyncio.Timeout]] = {}  # of each client, the oldest first

    @asynccontextmanager
    async def slot(self, client: str) -> AsyncIterator[None]:
        """Hold a slot of `client` during the block, which another client may end by taking it.

        Raises `Overloaded` then, and if no slot can be had.
        """
        if self._free == 0:
            self._take_from_another(client)
        self._free -= 1
        held = asyncio.timeout(None)
        self._held.setdefault(client, []).append(held)
        try:
            async with held:
                yield
        except TimeoutError:
            if not held.expired():
                raise
            raise Overloaded(
                "dropped in favour of a client with fewer requests in flight",
                self._retry_after_s,
                "jobs",
            ) from None
        finally:
            if held in self._held.get(client, []):
                self._give_back(client, held)

    def _take_from_another(self, client: str) -> None:
        most = max(self._held, key=lambda other: len(self._held[other]))
        if len(self._held[most]) < len(self._held.get(client, [])) + 2:
            raise Overloaded("too many images are being fetched", self._retry_after_s, "jobs")
        oldest = self._held[most][0]
        self._give_back(most, oldest)
        oldest.reschedule(0)  # in the past: the block ends when it next waits

    def _give_back(self, client: str, held: asyncio.Timeout) -> None:
        self._free += 1
        self._held[client].remove(held)
        if not self._held[client]:
            del self._held[client]
