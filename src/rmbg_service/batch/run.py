"""The run over many pictures: a few at once, each read, looked up, removed, stored."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rmbg_service.batch.journal import Entry, Ledger
from rmbg_service.batch.removers.remover import Dropped, Hopeless, OutOfReach, Removed, Remover
from rmbg_service.errors import OutOfDeviceMemory, Rejected, RmbgError
from rmbg_service.system.atomic import write
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
    """A picture and where its cutout shall be."""

    source: Path
    output: Path


@dataclass(frozen=True)
class Result:
    """How one item ended; `output` is None where there is none, `error` says why.

    `may_pass` says that the reason may pass without a change of the input.
    """

    source: Path
    output: Path | None
    status: Status
    seconds: float = 0.0
    box: Box | None = None
    error: str = ""
    may_pass: bool = False


_MAY_PASS = (OSError, OutOfReach, Rejected, OutOfDeviceMemory)


class Run:
    """Takes items until there are no more or `stop` is set; what is in flight then is finished.

    With a `ledger`, what it knows as done in the way of `wanted` is skipped. Memory is bounded: at
    most `parallel` pictures are anywhere between their input and their output file.
    """

    def __init__(
        self,
        remover: Remover,
        stop: asyncio.Event,
        report: Callable[[Result], None],
        ledger: Ledger | None = None,
        wanted: str = "",
    ) -> None:
        self._remover = remover
        self._stop = stop
        self._report = report
        self._ledger = ledger
        self._wanted = wanted
        self._hopeless: Hopeless | None = None
        # A watched file may change while it is worked on; its newer content waits for its turn.
        self._turns: defaultdict[Path, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def over(self, items: AsyncIterable[Item]) -> None:
        """Bring every item to an end and report it; raises `Hopeless` when going on is in vain.

        A file that cannot be read, removed or written fails alone.
        """
        slots = asyncio.Semaphore(self._remover.parallel)
        async with asyncio.TaskGroup() as group:
            async for item in items:
                await slots.acquire()
                if self._stop.is_set():
                    break
                group.create_task(self._one(item)).add_done_callback(lambda _: slots.release())
        if self._hopeless is not None:
            raise self._hopeless

    async def _one(self, item: Item) -> None:
        started = time.perf_counter()
        try:
            async with self._turns[item.output]:
                status, box = await self._finish(item)
            error, may_pass = "", False
        except Dropped:
            return
        except Hopeless as end:
            self._hopeless = end
            self._stop.set()
            return
        except Exception as reason:
            status, box, error = Status.FAILED, None, _explain(reason)
            may_pass = isinstance(reason, _MAY_PASS)
        output = None if status is Status.FAILED else item.output
        seconds = time.perf_counter() - started
        self._report(Result(item.source, output, status, seconds, box, error, may_pass))

    async def _finish(self, item: Item) -> tuple[Status, Box | None]:
        data = await asyncio.to_thread(read_bounded, item.source, self._remover.max_bytes)
        content = ""
        if self._ledger is not None:
            content, entry = await asyncio.to_thread(self._look_up, item, data, self._ledger)
            if entry is not None:
                return Status.SKIPPED, entry.box
        removing = self._remover.remove(data)
        del data  # so that nothing but the job holds the file
        removed = await removing
        await asyncio.to_thread(self._store, item, content, removed)
        return Status.DONE, removed.box

    def _look_up(self, item: Item, data: bytes, ledger: Ledger) -> tuple[str, Entry | None]:
        content = digest(data)
        return content, ledger.find(item.output, content, self._wanted)

    def _store(self, item: Item, content: str, removed: Removed) -> None:
        if item.output.exists() and item.output.samefile(item.source):
            raise FileExistsError("the output would replace its own input")
        write(item.output, removed.data)
        if self._ledger is not None:
            self._ledger.add(
                item.output,
                item.source,
                content=content,
                wanted=self._wanted,
                data=removed.data,
                box=removed.box,
            )


def _explain(reason: Exception) -> str:
    if isinstance(reason, OSError):
        return reason.strerror or str(reason)
    if not isinstance(reason, RmbgError):
        log.error("unexpected", exc_info=reason)
        return f"unexpected: {reason!r}"
    return str(reason)
