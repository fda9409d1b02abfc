"""What every connection of a client needs: timers by name, and an end that loses no response."""

import asyncio
from collections.abc import Callable
from typing import Any


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


class UnhurriedTransport:
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
