"""How fast the event loop works for clients that have used more than others.

Threads take turns (see `fair_share`), but the event loop reads whatever comes, and it has a higher
priority than they do, so that probes are answered at once. Without a limit, a client that only
sends would leave the threads of the others little of the CPU.
"""

import asyncio

from rmbg_service.serving.fair_share import FairShare, FairSlots, Visit

REQUEST_S = 1e-3
"""What a request costs the event loop, its body aside."""
BODY_S_PER_BYTE = 1.5e-9
"""What a byte of a body costs, as measured with bodies of 39 MB."""
_PART_OF_A_CORE = 1 / 8


class Pacer:
    """Lets clients that are ahead of others pass at the rate of a part of a CPU core.

    Nobody waits while jobs of only one client are at work.
    """

    def __init__(self, share: FairShare) -> None:
        self._share = share
        self._turns = FairSlots(share, 1)

    async def pace(self, visit: Visit, seconds: float) -> None:
        """Charge `seconds` of the event loop, and wait if it is not this client's turn."""
        visit.charge(seconds)
        if self._share.is_ahead(visit.client):
            async with self._turns.slot(visit.client):
                await asyncio.sleep(seconds / _PART_OF_A_CORE)
