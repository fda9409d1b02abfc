"""How fast the event loop works for clients that have used more than others.

Threads take turns (see `fair_share`), but the event loop reads whatever comes, and it has a higher
priority than they do, so that probes are answered at once. Without a limit, a client that only
sends would leave the threads of the others little of the CPU.
"""

import asyncio
from collections.abc import Awaitable, Callable

from rmbg_service.serving.fair_share import FairShare, FairSlots, Visit

REQUEST_S = 1e-3
"""What a request costs the event loop, its body aside."""
BODY_S_PER_BYTE = 0.8e-9
"""What a byte of a body costs, as measured with bodies of 39 MB."""
_PART_OF_A_CORE = 1 / 8
_LITTLE_S = 1e-4
_FREE_S = 0.02
"""What a client may have used recently without a wait, so that its probes always pass."""
_SLICE_S = 2.5e-3
"""What passes in one turn: a probe must not wait behind the whole debt of somebody else."""


class Pacer:
    """Lets clients that are ahead of others pass at the rate of a part of a CPU core.

    Nobody waits while jobs of only one client are at work. Of those who wait, the one that has used
    the least of the event loop comes first: who has few requests need not catch up on its images.
    """

    def __init__(
        self, share: FairShare, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._share = share
        self._sleep = sleep
        self._of_the_loop = FairShare()
        self._turns = FairSlots(self._of_the_loop, 1)
        self._debts = FairSlots(share, 1)

    async def pace(self, visit: Visit, seconds: float) -> None:
        """Charge `seconds` of the event loop, and wait if it is not this client's turn.

        Little does not wait: in the queue for a turn, the request would hold its place for nothing.
        """
        visit.charge(seconds)
        visit.paced_s += seconds
        self._of_the_loop.charge(visit.client, seconds)
        if seconds >= _LITTLE_S:
            await self._wait(visit.client, seconds, self._turns)

    async def pace_refused(self, visit: Visit) -> None:
        """Wait for what threads have done for a request that is refused, too.

        Such requests wait behind one another, and nobody who has work behind them.
        """
        visit.refuse()
        await self._wait(visit.client, visit.used_s - visit.paced_s, self._debts)

    async def _wait(self, client: str, seconds: float, turns: FairSlots) -> None:
        if self._share.used_s(client) <= _FREE_S:
            return
        while seconds > 0 and self._share.is_ahead(client):
            async with turns.slot(client):
                await self._sleep(min(seconds, _SLICE_S) / _PART_OF_A_CORE)
            seconds -= _SLICE_S
