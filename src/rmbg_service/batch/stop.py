"""Ctrl+C and SIGTERM: the first one finishes what is in flight, the second drops it."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """`event` is set by the first signal, `signal` is its number; 0 while there was none."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.signal = 0

    def ask(self) -> None:
        """Set `event`, and say so."""
        self.event.set()
        print("stopping: what is in flight is finished; once more drops it", file=sys.stderr)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Within the running task of the main thread; a second signal cancels that task."""
    stop, loop, task = Stop(), asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def handle(number: int, _: FrameType | None) -> None:
        again = bool(stop.signal)
        stop.signal = number
        loop.call_soon_threadsafe(task.cancel if again else stop.ask)

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
