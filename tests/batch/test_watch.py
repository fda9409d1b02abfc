import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from rmbg_service.batch.inputs import Missing
from rmbg_service.batch.watch import RETRY_AFTER_LOOKS, every, settled


async def test_new_and_changed_files_come_once_when_two_looks_agree(tmp_path: Path) -> None:
    photo, out = tmp_path / "a.jpg", tmp_path / "out"
    photo.write_bytes(b"1")
    taken: list[str] = []

    def back_again() -> None:
        photo.write_bytes(b"12")
        os.utime(photo, ns=(1, 1))

    steps: Iterator[Callable[[], object]] = iter(
        [
            lambda: photo.write_bytes(b"12"),  # still being written
            lambda: None,
            lambda: None,  # taken here
            lambda: (tmp_path / "b.jpg").write_bytes(b"1"),
            lambda: os.utime(photo, ns=(1, 1)),  # changed; b is taken
            lambda: None,  # a is taken again
            lambda: None,
            lambda: photo.unlink(),
            back_again,
            lambda: None,
        ]
    )
    log: list[int] = []

    async def next_look() -> bool:
        log.append(len(taken))
        step = next(steps, None)
        if step is not None:
            step()
        return step is not None

    async for found in settled([str(tmp_path)], out, lambda _: None, next_look, set()):
        taken.append(found.path.name)  # noqa: PERF401 - the steps look at it meanwhile
    assert taken == ["a.jpg", "b.jpg", "a.jpg", "a.jpg"]
    assert log == [0, 0, 1, 1, 1, 2, 3, 3, 3, 3, 4]


async def test_what_failed_for_a_passing_reason_comes_again_after_a_pause(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"1")
    looks = 0
    failed: set[Path] = set()
    taken: list[tuple[int, str]] = []

    async def next_look() -> bool:
        nonlocal looks
        looks += 1
        return looks <= 2 * RETRY_AFTER_LOOKS + 3

    async for found in settled([str(tmp_path)], tmp_path / "out", print, next_look, failed):
        taken.append((looks, found.path.name))
        if found.path.name == "b.jpg" and len(taken) < 4:
            failed.add(found.path)
    first, again = 1 + 1 + RETRY_AFTER_LOOKS, 2 * (1 + RETRY_AFTER_LOOKS) + 1
    assert taken == [(1, "a.jpg"), (1, "b.jpg"), (first, "b.jpg"), (again, "b.jpg")]


async def test_a_folder_that_is_missing_is_told_once(tmp_path: Path) -> None:
    told: list[Missing] = []
    looks = iter([True, True, False])

    async def next_look() -> bool:
        return next(looks)

    gone = str(tmp_path / "gone")
    assert [one async for one in settled([gone], tmp_path, told.append, next_look, set())] == []
    assert [missing.path for missing in told] == [Path(gone)]


async def test_a_look_follows_the_other_until_the_stop() -> None:
    stop = asyncio.Event()
    look = every(0.001, stop)
    assert await look()
    stop.set()
    assert not await look()
