"""The run over many images: a few at once, each read, looked up, removed, written."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rmbg_service.batch.journal import Entry, Journal
from rmbg_service.batch.removers.remover import Removed, Remover, RemoverFailed, RunStopped
from rmbg_service.client import ServiceUnavailable
from rmbg_service.errors import OutOfDeviceMemory, OutOfMemory, Rejected, RmbgError
from rmbg_service.system.atomic import atomic_write
from rmbg_service.system.files import digest, read_bounded
from rmbg_service.types import Box

log = logging.getLogger(__name__)


class Status(StrEnum):
    """How a file ended."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
class Item:
    """An image and the path of its cutout."""

    source: Path
    output: Path


@dataclass(frozen=True)
class Result:
    """How one item ended; without an `output`, `error` says why.

    `retryable` says that the same input may succeed later.
    """

    source: Path
    output: Path | None
    status: Status
    seconds: float = 0.0
    box: Box | None = None
    error: str = ""
    retryable: bool = False


_RETRYABLE = (OSError, ServiceUnavailable, Rejected, OutOfMemory, OutOfDeviceMemory)


class Run:
    """Processes items until there are no more or `stop` is set; what is in flight is then finished.

    With a `journal`, files that were finished with the same `fingerprint` are skipped. Memory is
    bounded: at most `parallel` images are anywhere between their input and their output file.
    """

    def __init__(
        self,
        remover: Remover,
        stop: asyncio.Event,
        report: Callable[[Result], None],
        journal: Journal | None = None,
        fingerprint: str = "",
    ) -> None:
        self._remover = remover
        self._stop = stop
        self._report = report
        self._journal = journal
        self._fingerprint = fingerprint
        self._failure: RemoverFailed | None = None
        # A watched file may change while it is processed; its newer content waits for its turn.
        self._locks: defaultdict[Path, asyncio.Lock] = defaultdict(asyncio.Lock)

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
            status, box, error = Status.FAILED, None, _explain(reason)
            retryable = isinstance(reason, _RETRYABLE)
        output = None if status is Status.FAILED else item.output
        seconds = time.perf_counter() - started
        self._report(Result(item.source, output, status, seconds, box, error, retryable))

    async def _finish(self, item: Item) -> tuple[Status, Box | None]:
        data = await asyncio.to_thread(read_bounded, item.source, self._remover.max_bytes)
        sha256 = ""
        if self._journal is not None:
            sha256, entry = await asyncio.to_thread(self._look_up, item, data, self._journal)
            if entry is not None:
                return Status.SKIPPED, entry.box
        removing = self._remover.remove(data)
        del data  # so that nothing but the job holds the file
        removed = await removing
        await asyncio.to_thread(self._store, item, sha256, removed)
        return Status.DONE, removed.box

    def _look_up(self, item: Item, data: bytes, journal: Journal) -> tuple[str, Entry | None]:
        sha256 = digest(data)
        return sha256, journal.find(item.output, sha256, self._fingerprint)

    def _store(self, item: Item, sha256: str, removed: Removed) -> None:
        if item.output.exists() and item.output.samefile(item.source):
            raise FileExistsError("the output would replace its own input")
        atomic_write(item.output, removed.data)
        if self._journal is not None:
            self._journal.add(
                item.output,
                item.source,
                input_sha256=sha256,
                fingerprint=self._fingerprint,
                data=removed.data,
                box=removed.box,
            )


def _explain(reason: Exception) -> str:
    if isinstance(reason, OSError):
        return reason.strerror or str(reason)
    if not isinstance(reason, RmbgError):
        log.error("unexpected error", exc_info=reason)
        return f"unexpected error: {reason!r}"
    return str(reason)
