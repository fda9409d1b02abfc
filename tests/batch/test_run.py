"""The run, with a remover whose gate the tests hold."""

import asyncio
import errno
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rmbg_service.batch.folders import FileItem
from rmbg_service.batch.journal import Journal
from rmbg_service.batch.removers.remover import Removed, RemoverFailed, RunStopped
from rmbg_service.batch.run import Result, Run, Status
from rmbg_service.client import ServiceUnavailable
from rmbg_service.errors import ConfigurationError, InvalidImage, OutOfDeviceMemory
from rmbg_service.types import Box
from tests.fakes import until

BOX = Box(0, 0, 1, 1)


class FakeRemover:
    """Turns the file `x` into `cutout of x`; raises what `errors` has for it."""

    model = "fake"
    parallel = 3
    max_bytes = 100

    def __init__(self, gated: bool = False) -> None:
        self.gate = asyncio.Event()
        if not gated:
            self.gate.set()
        self.errors: dict[bytes, Exception] = {}
        self.seen: list[bytes] = []

    async def remove(self, data: bytes) -> Removed:
        self.seen.append(data)
        await self.gate.wait()
        if data in self.errors:
            raise self.errors[data]
        return Removed(b"cutout of " + data, BOX)


def pictures(folder: Path, count: int) -> list[FileItem]:
    (folder / "in").mkdir(exist_ok=True)
    items = []
    for number in range(count):
        source = folder / "in" / f"{number}.jpg"
        source.write_bytes(str(number).encode())
        items.append(FileItem(source, [(folder / "out" / f"{number}.png", "fingerprint")]))
    return items


async def each(items: list[FileItem]) -> AsyncIterator[FileItem]:
    for item in items:
        yield item


def told(results: list[Result]) -> Callable[[Result], Awaitable[None]]:
    async def report(result: Result) -> None:
        results.append(result)

    return report


async def run(
    folder: Path, items: list[FileItem], remover: FakeRemover, *, journal: bool = True
) -> list[Result]:
    results: list[Result] = []
    book = Journal(folder / "out") if journal else None
    items = [replace(item, journal=book) for item in items]
    await Run(remover, asyncio.Event(), told(results)).over(each(items))
    return sorted(results, key=lambda result: str(result.source))


def statuses(results: list[Result]) -> list[str]:
    return [result.status.value for result in results]


async def test_the_second_run_does_only_what_is_not_done(tmp_path: Path) -> None:
    items = pictures(tmp_path, 4)
    assert statuses(await run(tmp_path, items, FakeRemover())) == ["done"] * 4
    assert items[2].outputs[0].read_bytes() == b"cutout of 2"
    items[0].outputs[0].write_bytes(b"touched up by hand")
    items[1].outputs[0].unlink()
    items[3].source.write_bytes(b"a new photo")
    remover = FakeRemover()
    results = await run(tmp_path, items, remover)
    assert statuses(results) == ["done", "done", "skipped", "done"]
    assert sorted(remover.seen) == [b"0", b"1", b"a new photo"]
    assert results[2].box == BOX
    assert items[3].outputs[0].read_bytes() == b"cutout of a new photo"


async def test_without_a_journal_all_is_done_again(tmp_path: Path) -> None:
    items = pictures(tmp_path, 1)
    for _ in range(2):
        assert statuses(await run(tmp_path, items, FakeRemover(), journal=False)) == ["done"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["0.png"]


async def test_a_file_that_cannot_be_read_removed_or_written_fails_alone(tmp_path: Path) -> None:
    items = pictures(tmp_path, 6)
    remover = FakeRemover()
    remover.errors = {b"1": InvalidImage("broken"), b"2": ValueError("a bug")}
    items[0].source.unlink()
    items[3].source.write_bytes(b"x" * 101)
    items[4].outputs[0].mkdir(parents=True)
    results = await run(tmp_path, items, remover)
    assert statuses(results) == ["failed"] * 5 + ["done"]
    reasons = [result.error for result in results]
    assert reasons[0] == "No such file or directory"
    assert reasons[1] == "broken"
    assert "a bug" in reasons[2]
    assert "100 bytes" in reasons[3]
    assert "directory" in reasons[4]
    assert [result.outputs for result in results[:5]] == [()] * 5
    assert [result.retryable for result in results] == [True, False, False, False, True, False]


@pytest.mark.parametrize("reason", [ServiceUnavailable("10 tries"), OutOfDeviceMemory("none left")])
async def test_what_does_not_concern_the_image_is_retryable(
    tmp_path: Path, reason: Exception
) -> None:
    remover = FakeRemover()
    remover.errors = {b"0": reason}
    (result,) = await run(tmp_path, pictures(tmp_path, 1), remover)
    assert (result.status, result.retryable) == (Status.FAILED, True)


async def test_an_input_is_never_replaced(tmp_path: Path) -> None:
    (item,) = pictures(tmp_path, 1)
    alias = tmp_path / "alias.png"
    alias.symlink_to(item.source)
    remover = FakeRemover()
    (result,) = await run(tmp_path, [FileItem(item.source, [(alias, "")])], remover, journal=False)
    assert result.status is Status.FAILED
    assert "its own input" in result.error
    assert item.source.read_bytes() == b"0"


async def test_no_more_than_parallel_are_under_way(tmp_path: Path) -> None:
    remover = FakeRemover(gated=True)
    running = asyncio.create_task(run(tmp_path, pictures(tmp_path, 9), remover))
    await until(lambda: len(remover.seen) == 3)
    await asyncio.sleep(0)
    assert len(remover.seen) == 3
    remover.gate.set()
    assert statuses(await running) == ["done"] * 9


async def test_after_the_stop_what_is_in_flight_is_finished_and_nothing_begun(
    tmp_path: Path,
) -> None:
    remover, stop, results = FakeRemover(gated=True), asyncio.Event(), list[Result]()
    run = Run(remover, stop, told(results))
    running = asyncio.create_task(run.over(each(pictures(tmp_path, 9))))
    await until(lambda: len(remover.seen) == 3)
    stop.set()
    remover.gate.set()
    await running
    assert statuses(results) == ["done"] * 3


async def test_what_is_dropped_is_not_told(tmp_path: Path) -> None:
    remover = FakeRemover()
    remover.errors = {b"0": RunStopped()}
    assert statuses(await run(tmp_path, pictures(tmp_path, 2), remover)) == ["done"]


async def test_a_cancelled_run_leaves_no_half_files(tmp_path: Path) -> None:
    remover = FakeRemover(gated=True)
    running = asyncio.create_task(run(tmp_path, pictures(tmp_path, 9), remover))
    await until(lambda: len(remover.seen) == 3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not (tmp_path / "out").exists()


async def test_when_going_on_is_in_vain_it_ends(tmp_path: Path) -> None:
    remover = FakeRemover()
    remover.errors = {b"1": RemoverFailed("the device is lost")}
    with pytest.raises(RemoverFailed, match="device"):
        await run(tmp_path, pictures(tmp_path, 50), remover)
    assert len(remover.seen) < 10


async def test_when_the_items_end_with_an_error_what_is_in_flight_is_finished(
    tmp_path: Path,
) -> None:
    async def failing() -> AsyncIterator[FileItem]:
        for item in pictures(tmp_path, 2):
            yield item
        raise ConfigurationError("cannot watch")

    remover, results = FakeRemover(gated=True), list[Result]()
    running = asyncio.create_task(Run(remover, asyncio.Event(), told(results)).over(failing()))
    await until(lambda: len(remover.seen) == 2)
    remover.gate.set()
    with pytest.raises(ConfigurationError, match="cannot watch"):
        await running
    assert statuses(results) == ["done", "done"]


async def test_a_report_that_fails_ends_the_run_with_its_own_error(tmp_path: Path) -> None:
    async def full(_: Result) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run = Run(FakeRemover(), asyncio.Event(), full)
    with pytest.raises(OSError, match="No space left"):
        await run.over(each(pictures(tmp_path, 9)))


async def test_outputs_that_are_finished_are_forgotten(tmp_path: Path) -> None:
    results: list[Result] = []
    run = Run(FakeRemover(), asyncio.Event(), told(results))
    await run.over(each(pictures(tmp_path, 5)))
    gc.collect()
    assert statuses(results) == ["done"] * 5
    assert not run._locks
