"""Folders that are watched for new and changed images."""

import asyncio
import logging
import time
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Sequence,
)
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from watchfiles import awatch
from watchfiles._rust_notify import WatchfilesRustInternalError

from rmbg_service.batch.inputs import InputImage, UnreadableInput, find_inputs
from rmbg_service.errors import ConfigurationError

log = logging.getLogger(__name__)

SETTLE_S = 1.0
"""A file whose size and time have not changed for so long is no longer being written."""

RETRY_AFTER_S = 60.0
RESCAN_S = 60.0
"""Also without a notice the folders are listed so often: notices can get lost."""

_TICK_MS = 1000

_State: TypeAlias = tuple[int, int]
"""Size in bytes and modification time in ns."""


async def changes(
    inputs: Sequence[str], stop: asyncio.Event, *, poll: bool
) -> AsyncIterator[Collection[object]]:
    """What has changed below the folders `inputs`, at least once a second, until `stop` is set.

    By the kernel's notices, or by listing the folders once a second if `poll` is true: notices do
    not arrive from network shares and most container mounts. If the watcher fails at something that
    it finds, such as a link that leads to itself, all is taken as changed once a second.
    """
    yield [inputs]  # what is there already
    try:
        async for changed in awatch(
            *inputs,
            watch_filter=None,
            stop_event=stop,
            rust_timeout=_TICK_MS,
            yield_on_timeout=True,
            force_polling=poll or None,
            poll_delay_ms=_TICK_MS,
            ignore_permission_denied=True,
        ):
            yield changed
    except (OSError, RuntimeError) as error:
        hint = "" if poll else ": try --poll"
        raise ConfigurationError(f"cannot watch {', '.join(inputs)}: {error}{hint}") from None
    except ExceptionGroup as errors:
        if errors.split(WatchfilesRustInternalError)[1] is not None:
            raise
        log.warning("the folders are listed once a second from now on: %s", errors.exceptions[0])
        while not stop.is_set():
            yield [inputs]
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _TICK_MS / 1000)


async def watched_images(
    inputs: Sequence[str],
    out: Path,
    ticks: AsyncIterable[Collection[object]],
    report: Callable[[UnreadableInput], Awaitable[None]],
    failed: set[Path],
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[InputImage]:
    """Images that are new or have changed, once they have been the same for `SETTLE_S`.

    `ticks` are sets of changes, also empty ones; the folders are listed when one is not empty. An
    `UnreadableInput` is reported once. What the caller adds to `failed` is removed from it and
    yielded again after `RETRY_AFTER_S`.
    """
    yielded: dict[Path, _State] = {}
    unsettled: dict[Path, tuple[_State, float]] = {}
    retry_at: dict[Path, float] = {}
    reported: set[Path] = set()
    listed_at = -RESCAN_S
    async for changed in ticks:
        now = clock()
        retry_at |= dict.fromkeys(failed, now + RETRY_AFTER_S)
        failed.clear()
        due = {path for path, when in retry_at.items() if when <= now}
        if not (changed or unsettled or due or now >= listed_at + RESCAN_S):
            continue
        listed_at = now
        for path in due:
            del retry_at[path]
            yielded.pop(path, None)
        present: dict[Path, _State] = {}
        for found in await asyncio.to_thread(lambda: list(find_inputs(inputs, out))):
            if isinstance(found, UnreadableInput):
                if found.path not in reported:
                    reported.add(found.path)
                    await report(found)
                continue
            state = _state(found.path)
            if state is None:
                continue
            present[found.path] = state
            if state == yielded.get(found.path):
                continue
            before, since = unsettled.get(found.path, (None, now))
            if state != before:
                unsettled[found.path] = state, now
            elif now - since >= SETTLE_S:
                del unsettled[found.path]
                yielded[found.path] = state
                yield found
        yielded = {path: state for path, state in yielded.items() if path in present}
        unsettled = {path: pair for path, pair in unsettled.items() if path in present}


def _state(path: Path) -> _State | None:
    try:
        status = path.stat()
    except OSError:  # deleted in the meantime
        return None
    return status.st_size, status.st_mtime_ns
