"""A folder that is looked at again and again.

By polling, which also works on network and container mounts, where the kernel's notices do not
arrive; and only two looks tell whether a file is still being written.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from rmbg_service.batch.inputs import Found, Missing, find

LOOK_EVERY_S = 1.0
RETRY_AFTER_LOOKS = 60


async def settled(
    inputs: Sequence[str],
    out: Path,
    report: Callable[[Missing], None],
    next_look: Callable[[], Awaitable[bool]],
    failed: set[Path],
) -> AsyncIterator[Found]:
    """Pictures that are new or changed, once two looks in a row find the same size and time.

    `next_look` waits and says whether to go on. What is `Missing` is reported once. What the caller
    puts into `failed` is taken out and comes again after `RETRY_AFTER_LOOKS`.
    """
    before: dict[Path, tuple[int, int]] = {}
    taken: dict[Path, tuple[int, int]] = {}
    reported: set[Path] = set()
    due: dict[Path, int] = {}
    for look in itertools.count():
        now: dict[Path, tuple[int, int]] = {}
        for found in await asyncio.to_thread(lambda: list(find(inputs, out))):
            if isinstance(found, Missing):
                if found.path not in reported:
                    reported.add(found.path)
                    report(found)
                continue
            state = _state(found.path)
            if state is None:  # gone again
                continue
            now[found.path] = state
            if state == before.get(found.path) and state != taken.get(found.path):
                taken[found.path] = state
                yield found
        before = now
        due |= dict.fromkeys(failed, look + RETRY_AFTER_LOOKS)
        failed.clear()
        for path in [path for path, when in due.items() if when <= look]:
            del due[path]
            taken.pop(path, None)
        taken = {path: state for path, state in taken.items() if path in now}
        if not await next_look():
            return


def every(seconds: float, stop: asyncio.Event) -> Callable[[], Awaitable[bool]]:
    """A `next_look` that waits `seconds`, and ends the looking when `stop` is set."""

    async def next_look() -> bool:
        try:
            await asyncio.wait_for(stop.wait(), seconds)
        except TimeoutError:
            return True
        return False

    return next_look


def _state(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
