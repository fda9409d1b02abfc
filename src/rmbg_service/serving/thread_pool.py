"""Threads for work on images; one that never comes back is replaced."""

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from rmbg_service.errors import DeadlineExceeded, OutOfMemory
from rmbg_service.system.resources import lower_thread_priority

log = logging.getLogger(__name__)

_T = TypeVar("_T")


class StuckThread(DeadlineExceeded):
    """A call in a thread took too long; `ended` is done when it has come back after all."""

    def __init__(self, template: str, /, ended: "asyncio.Future[Any]", **values: object) -> None:
        super().__init__(template, **values)
        self.ended = ended


class ThreadPool:
    """Runs up to `threads` calls at once, each for at most `timeout_s`; belongs to one event loop.

    Its threads give way to the event loop's, see `lower_thread_priority`.
    The thread of a call that takes longer is stuck: another one takes its place, so that the pool
    keeps its capacity. It replaces at most `threads` of them at a time. `on_exhausted` is called
    for a further one: then only a restart of the process helps.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        timeout_s: float,
        on_exhausted: Callable[[str], None],
    ) -> None:
        self._name = name
        self._threads = threads
        self._timeout_s = timeout_s
        self._on_exhausted = on_exhausted
        self._free: asyncio.Queue[_Thread] = asyncio.Queue()
        self._stuck: set[_Thread] = set()
        for _ in range(threads):
            self._add_thread()

    @property
    def stuck(self) -> int:
        """The number of threads that are stuck."""
        return len(self._stuck)

    async def run(self, work: Callable[[], _T]) -> _T:
        """What `work` returns, called in a thread.

        Raises `StuckThread` if it takes too long, and `OutOfMemory` if the system starts no thread.
        """
        thread = await self._free.get()
        loop = asyncio.get_running_loop()
        try:
            call = loop.run_in_executor(thread.executor, work)
        except RuntimeError as error:  # the system has no thread or memory left for it
            log.error("a thread of the %s does not start: %s", self._name, error)
            self._add_thread()  # the executor keeps `work` and would still do it
            raise OutOfMemory(
                "the service has no thread left for this request: try again later"
            ) from None
        given_up = loop.create_future()
        timer = loop.call_later(self._timeout_s, self._give_up, thread, given_up)

        def end(_: object) -> None:
            timer.cancel()
            self._end(thread)
            if not call.cancelled():
                call.exception()  # retrieved, also if nobody waits for it any more

        call.add_done_callback(end)
        await asyncio.wait({call, given_up}, return_when=asyncio.FIRST_COMPLETED)
        if call.done():
            return call.result()
        raise StuckThread(
            "the {step} took longer than {limit:g} s", call, step=self._name, limit=self._timeout_s
        )

    def close(self) -> None:
        """Start no further calls, and end the threads that are free."""
        while not self._free.empty():
            self._free.get_nowait().executor.shutdown(wait=False)

    def _add_thread(self) -> None:
        self._free.put_nowait(_Thread(self._name))

    def _give_up(self, thread: "_Thread", given_up: "asyncio.Future[None]") -> None:
        log.error("the %s is stuck at:\n%s", self._name, thread.stack())
        self._stuck.add(thread)
        given_up.set_result(None)
        if self.stuck <= self._threads:
            self._add_thread()
        else:
            self._on_exhausted(f"{self.stuck} threads of the {self._name} are stuck")

    def _end(self, thread: "_Thread") -> None:
        if thread in self._stuck:  # replaced in the meantime
            self._stuck.remove(thread)
            thread.executor.shutdown(wait=False)
        else:
            self._free.put_nowait(thread)


class _Thread:
    """One thread of a pool."""

    def __init__(self, name: str) -> None:
        self._ident = 0
        self.executor = ThreadPoolExecutor(1, name, self._begin)

    def _begin(self) -> None:
        self._ident = threading.get_ident()
        lower_thread_priority()

    def stack(self) -> str:
        """The thread's stack, outermost call first."""
        frame = sys._current_frames().get(self._ident)
        return "".join(traceback.format_stack(frame))
