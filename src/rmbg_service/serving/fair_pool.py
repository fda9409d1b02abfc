"""A thread pool in which clients take turns."""

from collections.abc import Callable
from typing import TypeVar

from rmbg_service.serving.fair_share import FairShare, FairSlots, Visit
from rmbg_service.serving.thread_pool import ThreadPool

_T = TypeVar("_T")


class FairPool(ThreadPool):
    """A `ThreadPool` whose next free thread goes to the client that has used the least.

    A client that is ahead of others has no more than half of the threads, so that the others need
    not wait until one of its calls has ended.
    """

    def __init__(
        self,
        share: FairShare,
        name: str,
        threads: int,
        timeout_s: float,
        on_exhausted: Callable[[str], None],
    ) -> None:
        super().__init__(name, threads, timeout_s, on_exhausted)
        self._slots = FairSlots(share, threads, at_most_half=True)

    async def run_for(self, visit: Visit, work: Callable[[], _T]) -> _T:
        """Wait for a turn, run `work` as `run` does, and charge its time."""
        async with self._slots.slot(visit.client):
            with visit.measure():
                return await self.run(work)
