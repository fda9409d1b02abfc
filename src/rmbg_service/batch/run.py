"""The run over many images: a few at once, each read, looked up, removed, written."""

import asyncio
import logging
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias
from weakref import WeakValueDictionary

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
    """An image, and what becomes of its cutouts; the methods block, and run in threads."""

    @property
    def source(self) -> Location:
        """The image."""

    @property
    def outputs(self) -> Sequence[Location]:
        """Its cutouts, at least one; the first is the item's own, and no other item has it."""

    def read(self, max_bytes: int) -> bytes:
        """The image's bytes. Raises `ImageTooLarge` if there are more than `max_bytes`."""

    def skips(self, data: bytes) -> Finished | None:
        """The finished cutouts if they were made of `data`, so that nothing remains to be done."""

    def store(self, removed: Removed) -> None:
        """Write the cutouts, each whole or not at all, and record them."""


@dataclass(frozen=True)
class Result:
    """How one item ended; if it failed, it has no `outputs`, and `error` says why.

    `retryable` says that the same input may succeed later.
    """

    source: Location
    outputs: Sequence[Location]
    status: Status
    seconds: float = 0.0
    box: Box | None = None
    error: str = ""
    retryable: bool = False


_RETRYABLE = (OSError, ServiceUnavailable, Rejected, OutOfMemory, OutOfDeviceMemory)


class Run:
    """Processes items until there are no more or `stop` is set; what is in flight is then finished.

    Memory is bounded: at most `parallel` images are anywhere between their input and their output.
    `report` is called with each result; an error of its own ends the run.
    """

    def __init__(
        self,
        remover: Remover,
        stop: asyncio.Event,
        report: Callable[[Result], Awaitable[None]],
    ) -> None:
        self._remover = remover
        self._stop = stop
        self._report = report
        self._failure: Exception | None = None
        # A watched file may change while it is processed; its newer content waits for its turn.
        self._locks: WeakValueDictionary[Location, asyncio.Lock] = WeakValueDictionary()

    async def over(self, items: AsyncIterable[Item]) -> None:
        """Process and report every item.

        A file that cannot be read, processed or written fails alone. Raises `RemoverFailed` if all
        others would fail, too, and what `items` or the report raise; what is in flight is finished
        first.
        """
        slots = asyncio.Semaphore(self._remover.parallel)
        async with asyncio.TaskGroup() as group:
            try:
                async for item in items:
                    await slots.acquire()
                    if self._stop.is_set():
                        break
                    group.create_task(self._one(item)).add_done_callback(lambda _: slots.release())
            except Exception as error:  # the group would raise it as an ExceptionGroup
                self._end(error)
        if self._failure is not None:
            raise self._failure

    async def _one(self, item: Item) -> None:
        try:
            await self._report(await self._result(item))
        except RunStopped:
            return
        except Exception as error:
            self._end(error)

    def _end(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._stop.set()

    async def _result(self, item: Item) -> Result:
        """How the item ended. Raises `RunStopped` or `RemoverFailed`."""
        started = time.perf_counter()
        outputs = item.outputs
        try:
            async with self._locks.setdefault(outputs[0], asyncio.Lock()):
                status, box = await self._finish(item)
        except (RunStopped, RemoverFailed):
            raise
        except Exception as error:
            retryable = isinstance(error, _RETRYABLE)
            seconds = time.perf_counter() - started
            return Result(item.source, (), Status.FAILED, seconds, None, explain(error), retryable)
        return Result(item.source, outputs, status, time.perf_counter() - started, box)

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
            reason = f"cannot write {item.outputs[0]}: {error.strerror or error}"
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
