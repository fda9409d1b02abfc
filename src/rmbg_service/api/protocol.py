"""uvicorn's HTTP protocol, with bounds on what never reaches the gate.

These are the head of a request, what is left of a body after the response, and the trailers of a
chunked body, which uvicorn would take for headers.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 65_536


class BoundedProtocol(HttpToolsProtocol):
    """Closes connections whose requests are too long or take too long, in whichever part."""

    head_timeout_s = 10.0
    rest_timeout_s = 65.0
    """How long the rest of a body may take to come once its request is answered."""
    max_message_bytes = 2**27
    """Bytes of a request as they come, head, trailers and chunk sizes included."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_message = False
        self._message_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._rest_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_head_timer()
        self._stop_rest_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to an unfinished request, from its second piece on."""
        self._message_bytes += len(data)
        super().data_received(data)
        if self.cycle is not None and self.cycle.response_complete:
            if self._in_message:
                self._await_rest()
            else:
                self._await_head()  # these were blank lines, which may come before it
        in_head = self._head_timer is not None
        if self._message_bytes > (MAX_HEAD_BYTES if in_head else self.max_message_bytes):
            self.transport.abort()

    def on_message_begin(self) -> None:
        """A further request on the same connection has its own time."""
        super().on_message_begin()
        self._in_message = True
        self._message_bytes = 0
        self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers, which come after the head, are dropped."""
        if self._head_timer is not None:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """From here on the gate watches, until it has answered."""
        self._stop_head_timer()
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False  # to no protocol; the parser reads nothing after it

    def on_message_complete(self) -> None:
        """Everything of this request is there."""
        self._in_message = False
        self._stop_rest_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for what is left of the body, if anything is."""
        super().on_response_complete()
        if self._in_message and self._rest_timer is None:
            self._rest_timer = self.loop.call_later(self.rest_timeout_s, self.transport.abort)

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: the gate logs the request, and no library is missing."""

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._message_bytes = 0
            self._head_timer = self.loop.call_later(self.head_timeout_s, self.transport.abort)

    def _await_rest(self) -> None:
        """Close when nothing more comes: some clients stop to send once they are answered.

        By uvicorn's own patience with a silent connection, which what has just come has ended.
        """
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_rest_timer(self) -> None:
        if self._rest_timer is not None:
            self._rest_timer.cancel()
            self._rest_timer = None
