"""What connections of clients need: named timers, a limit on wasted work, a close that is heard."""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE


class Timers:
    """The timers of one connection; one that is started again begins anew."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._running: dict[str, asyncio.TimerHandle] = {}

    def __contains__(self, name: str) -> bool:
        """Whether the timer runs."""
        return name in self._running

    def start(self, name: str, delay_s: float, callback: Callable[[], None]) -> None:
        """Call `callback` after `delay_s`."""
        self.stop(name)
        self._running[name] = self._loop.call_later(delay_s, callback)

    def stop(self, *names: str) -> None:
        """Do not call back."""
        for name in names:
            if timer := self._running.pop(name, None):
                timer.cancel()

    def stop_all(self) -> None:
        """End all of them."""
        self.stop(*self._running)


class Throttle:
    """Spreads work of the event loop over time: all of it together takes a part of a CPU core."""

    def __init__(self, part_of_a_core: float) -> None:
        self._part = part_of_a_core
        self._busy_until = 0.0

    def delay_s(self, now: float, work_s: float) -> float:
        """How long after `now` work of `work_s` seconds is to be over, after all that came first.

        `now` is on the event loop's clock.
        """
        self._busy_until = max(now, self._busy_until) + work_s / self._part
        return self._busy_until - now


WASTED_WORK = Throttle(1 / 8)
"""All connections share it: what is discarded or refused takes little from the others."""


class LingeringTransport:
    """A transport whose `close` waits for a client that still sends.

    To what arrives at a closed connection the kernel answers with a reset, by which a client may
    lose the response that it was sent early.
    """

    def __init__(self, transport: asyncio.Transport, is_sending: Callable[[], bool]) -> None:
        self._transport = transport
        self._is_sending = is_sending
        self.closes_when_read = False
        """Whether the connection is to be closed once the client has sent everything."""

    def __getattr__(self, name: str) -> Any:
        """All else is the transport's."""
        return getattr(self._transport, name)

    def close(self) -> None:
        """Close, or tell the client at once that nothing more will come."""
        if self._transport.is_closing() or not self._is_sending():
            self._transport.close()
        else:
            self.closes_when_read = True
            self._transport.write_eof()


def send_last_response(transport: asyncio.Transport, status: int, detail: str) -> None:
    """Send a response of plain text, and close."""
    head = (
        b"content-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\n"
        b"cache-control: no-store\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    )
    transport.write(STATUS_LINE[status] + head % len(detail) + detail.encode())
    transport.close()
