"""The run over many images: a few at once, each read, looked up, removed, written."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

from rmbg_service.batch.removers.remover import Removed, Remover, RemoverFailed, RunStopped
from rmbg_service.client import ServiceUnavailable
from rmbg_service.errors import OutOfDeviceMemory, OutOfMemory, Rejected, RmbgError
from rmbg_service.types import Box

log = logging.getLogger(__name__)


class Status(StrEnum):
    """How a file ended."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


Location: TypeAlias = Path | str
"""A file: its path, or the URL of an object."""


class Finished(NamedTuple):
    """A cutout of an earlier run."""

    box: Box | None


class Item(Protocol):
    """An image, and what becomes of its cutout; the methods block, and run in threads."""

    @property
    def source(self) -> Location:
        """The image."""

    @property
    def output(self) -> Location:
        """Its cutout."""

    def read(self, max_bytes: int) -> bytes:
        """The image's bytes. Raises `ImageTooLarge` if there are more than `max_bytes`."""

    def skips(self, data: bytes) -> Finished | None:
        """The finished cutout if it was made of `data`, so that nothing remains to be done."""

    def store(self, removed: Removed) -> None:
        """Write the cutout, whole or not at all, and record it."""


@dataclass(frozen=True)
class Result:
    """How one item ended; without an `output`, `error` says why.

    `retryable` says that the same input may succeed later.
    """

    source: Location
    output: Location | None
    status: Status
    seconds: float = 0.0
    box: Box | None = None
    error: str = ""
    retryable: bool = False


_RETRYABLE = (OSError, ServiceUnavailable, Rejected, OutOfMemory, OutOfDeviceMemory)


class Run:
    """Processes items until there are no more or `stop` is set; what is in flight is then finished.

    Memory is bounded: at most `parallel` images are anywhere between their input and their output.
    """

    def __init__(
        self,
        remover: Remover,
        stop: asyncio.Event,
        report: Callable[[Result], None],
    ) -> None:
        self._remover = remover
        self._stop = stop
        self._report = report
        self._failure: RemoverFailed | None = None
        # A watched file may change while it is processed; its newer content waits for its turn.
        self._locks: defaultdict[Location, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def over(self, items: AsyncIterable[Item]) -> None:
        """Process and report every item.

        A file that cannot be read, processed or written fails alone. Raises `RemoverFailed` if all
        others would fail, too.
        """
        slots = asyncio.Semaphore(self._remover.parallel)
        async with asyncio.TaskGroup() as group:
            async for item in items:
                await slots.acquire()
                if self._stop.is_set():
                    break
                group.create_task(self._one(item)).add_done_callback(lambda _: slots.release())
        if self._failure is not None:
            raise self._failure

    async def _one(self, item: Item) -> None:
        started = time.perf_counter()
        try:
            async with self._locks[item.output]:
                status, box = await self._finish(item)
            error, retryable = "", False
        except RunStopped:
            return
        except RemoverFailed as failure:
            self._failure = failure
            self._stop.set()
            return
        except Exception as reason:
            status, box, error = Status.FAILED, None, explain(reason)
            retryable = isinstance(reason, _RETRYABLE)
        output = None if status is Status.FAILED else item.output
        seconds = time.perf_counter() - started
        self._report(Result(item.source, output, status, seconds, box, error, retryable))

    async def _finish(self, item: Item) -> tuple[Status, Box | None]:
        data = await asyncio.to_thread(item.read, self._remover.max_bytes)
        finished = await asyncio.to_thread(item.skips, data)
        if finished is not None:
            return Status.SKIPPED, finished.box
        removing = self._remover.remove(data)
        del data  # so that nothing but the job holds the file
        removed = await removing
        try:
            await asyncio.to_thread(item.store, removed)
        except OSError as error:
            reason = f"cannot write {item.output}: {error.strerror or error}"
            raise OSError(error.errno, reason) from error
        return Status.DONE, removed.box


def explain(reason: Exception) -> str:
    """What to tell about an error; one that is not expected is also logged."""
    if isinstance(reason, OSError):
        return reason.strerror or str(reason)
    if not isinstance(reason, RmbgError):
        log.error("unexpected error", exc_info=reason)
        return f"unexpected error: {reason!r}"
    return str(reason)
