"""The end of the process: it comes, whatever its threads do.

A normal exit joins the threads of every `ThreadPoolExecutor`, so one that hangs in a device driver,
a codec or a file system would keep the process alive forever.
"""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

INTERRUPTED = 128 + signal.SIGINT
"""The exit status after Ctrl+C."""
TERMINATED = 128 + signal.SIGTERM
"""The exit status after SIGTERM."""

_FLUSH_S = 2.0
_SECOND_INTERRUPT_S = 5.0


def exit_now(status: int) -> NoReturn:
    """End the process without waiting for its threads.

    What is buffered for stdout, stderr and the log is written first, unless its reader stands still
    for 2 s.
    """
    flushing = threading.Thread(target=_flush, daemon=True)
    flushing.start()
    flushing.join(_FLUSH_S)
    os._exit(status)


def exit_after(seconds: float, status: int) -> None:
    """End the process with `status` if it still exists after `seconds`."""
    timer = threading.Timer(seconds, exit_now, [status])
    timer.daemon = True
    timer.start()


@contextmanager
def second_interrupt_exits() -> Iterator[None]:
    """Let a second Ctrl+C end the process, even if the main thread hangs in a C function.

    Python raises `KeyboardInterrupt` only when such a function returns. The signal's number is
    written to the wakeup descriptor at once, which another thread reads. For the main thread, and
    for code that does not run an event loop, which has its own use for that descriptor.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def watch() -> None:
        interrupts = 0
        while number := reader.recv(1):
            interrupts += number[0] == signal.SIGINT
            if interrupts == 2:
                exit_after(_SECOND_INTERRUPT_S, INTERRUPTED)

    with reader, writer:
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            writer.close()
            watching.join()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    logging.shutdown()
