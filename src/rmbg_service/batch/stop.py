"""Ctrl+C and SIGTERM: the first one lets what is in flight finish, the second one cancels it."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rmbg_service.system.exit import exit_after

DROP_S = 10.0
"""After a second signal the process ends within this time, even if a thread hangs."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """`event` is set by the first signal; `signal` is the number of the last one, 0 before."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.signal = 0

    def request(self) -> None:
        """Set `event` and print what happens."""
        self.event.set()
        print(
            "stopping once the files in flight are finished; interrupt again to drop them",
            file=sys.stderr,
        )


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Handle signals while the block runs, in the main thread; a second one cancels this task."""
    stop, loop, task = Stop(), asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def handle(number: int, _: FrameType | None) -> None:
        again = bool(stop.signal)
        stop.signal = number
        if again:
            exit_after(DROP_S, 128 + number)
        loop.call_soon_threadsafe(task.cancel if again else stop.request)

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
