import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import pytest

from rmbg_service.batch.inputs import UnreadableInput
from rmbg_service.batch.watch import (
    RESCAN_S,
    RETRY_AFTER_S,
    SETTLE_S,
    changes,
    watched_images,
)
from rmbg_service.errors import ConfigurationError


class Clock:
    """Ticks of a watched folder: each is a step that is done before it, and the time of it."""

    def __init__(self, steps: Iterable[tuple[float, Callable[[], object] | None]]) -> None:
        self.now = 0.0
        self._steps = steps

    async def ticks(self) -> AsyncIterator[set[object]]:
        for seconds, step in self._steps:
            self.now = seconds
            if step is not None:
                step()
            yield {"changed"} if step is not None else set()

    def __call__(self) -> float:
        return self.now


async def ignored(_: UnreadableInput) -> None:
    pass


async def taken(
    folder: Path, clock: Clock, failed: set[Path] | None = None, failing: str = ""
) -> list[tuple[float, str]]:
    """The time and name of each image; `failing` fails twice."""
    failed = set() if failed is None else failed
    found: list[tuple[float, str]] = []
    inputs, out = [str(folder)], folder / "out"
    async for image in watched_images(inputs, out, clock.ticks(), ignored, failed, clock):
        found.append((clock.now, image.path.name))
        if image.path.name == failing and len(found) < 4:
            failed.add(image.path)
    return found


async def test_new_and_changed_files_come_once_they_have_settled(tmp_path: Path) -> None:
    a, b = tmp_path / "a.jpg", tmp_path / "b.jpg"

    def replace() -> None:
        a.write_bytes(b"12")
        os.utime(a, ns=(1, 1))

    clock = Clock(
        [
            (0.0, lambda: a.write_bytes(b"1")),
            (1.0, lambda: a.write_bytes(b"12")),  # still being written
            (1.5, None),
            (2.0, None),  # a is taken
            (3.0, lambda: b.write_bytes(b"1")),
            (3.5, lambda: os.utime(a, ns=(1, 1))),  # a has changed
            (4.0, None),  # b is taken
            (4.5, None),  # a is taken
            (5.0, a.unlink),
            (6.0, replace),  # the same size and time as before
            (7.0, None),  # a is taken
            (8.0, None),
        ]
    )
    expected = [(2.0, "a.jpg"), (4.0, "b.jpg"), (4.5, "a.jpg"), (7.0, "a.jpg")]
    assert await taken(tmp_path, clock) == expected


async def test_folders_are_listed_only_when_something_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[float] = []

    def find_inputs(*_: object) -> list[object]:
        listed.append(clock.now)
        return []

    monkeypatch.setattr("rmbg_service.batch.watch.find_inputs", find_inputs)
    clock = Clock([(0.0, lambda: None), *((float(second), None) for second in range(1, 130))])
    await taken(tmp_path, clock)
    assert listed == [0, RESCAN_S, 2 * RESCAN_S]  # notices may get lost


async def test_what_failed_for_a_passing_reason_comes_again_after_a_pause(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"1")
    clock = Clock([(0.0, lambda: None), *((float(second), None) for second in range(1, 200))])
    again = SETTLE_S + 1 + RETRY_AFTER_S + SETTLE_S
    assert await taken(tmp_path, clock, failing="b.jpg") == [
        (SETTLE_S, "a.jpg"),
        (SETTLE_S, "b.jpg"),
        (again, "b.jpg"),
        (again + 1 + RETRY_AFTER_S + SETTLE_S, "b.jpg"),
    ]


async def test_a_missing_folder_is_reported_once(tmp_path: Path) -> None:
    async def report(found: UnreadableInput) -> None:
        reported.append(found)

    reported: list[UnreadableInput] = []
    clock = Clock([(float(second), lambda: None) for second in range(3)])
    gone = str(tmp_path / "gone")
    watching = watched_images([gone], tmp_path, clock.ticks(), report, set(), clock)
    assert [image async for image in watching] == []
    assert [found.path for found in reported] == [Path(gone)]


@pytest.mark.parametrize("poll", [False, True])
async def test_changes_come_from_the_file_system_until_the_stop(tmp_path: Path, poll: bool) -> None:
    stop = asyncio.Event()
    watching = changes([str(tmp_path)], stop, poll=poll)
    assert await anext(watching)
    waiting = asyncio.ensure_future(anext(watching))
    assert not await waiting  # nothing has changed yet
    (tmp_path / "a.jpg").write_bytes(b"1")
    while not await anext(watching):
        pass
    stop.set()
    async for _ in watching:  # ends
        pass


async def test_when_notices_are_not_to_be_had_the_error_names_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def awatch(*_: object, **__: object) -> AsyncIterator[set[object]]:
        raise OSError("OS file watch limit reached.")

    monkeypatch.setattr("rmbg_service.batch.watch.awatch", awatch)
    watching = changes([str(tmp_path)], asyncio.Event(), poll=False)
    assert await anext(watching)
    with pytest.raises(ConfigurationError, match=r"limit reached\.: try --poll"):
        await anext(watching)


async def test_a_link_that_leads_to_itself_does_not_end_the_watch(tmp_path: Path) -> None:
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    stop = asyncio.Event()
    watching = changes([str(tmp_path)], stop, poll=True)
    for _ in range(3):
        assert await anext(watching)  # all is taken as changed
    stop.set()
    async for _ in watching:  # ends
        pass
