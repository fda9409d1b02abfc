"""uvicorn's HTTP protocol, with bounds on what never reaches the gate.

These are the head of a request, the requests that a client sends before it has its response, the
framing of a chunked body, its trailers, and what is left of a body after the response.
"""

import asyncio
import time
from functools import partial
from typing import Any

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rmbg_service.api.connection import WASTED_WORK, LingeringTransport, Timers, send_last_response
from rmbg_service.api.request_head import (
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    TOO_LARGE,
    HeadScanner,
    body_parser,
    fault,
)

MAX_AHEAD_BYTES = 65_536
"""Bytes of further requests that are held until the response to the first one has left."""
MAX_TINY_CHUNKS = 1024
MIN_CHUNK_BYTES = 64
"""The least average of a body's chunks, from the 1,025th on."""
_DISCARDING_S_PER_BYTE = 4e-10
_REFUSAL_S = 5e-4  # what a connection costs beside the parsing: to accept, answer and close it
_SMALL_READ_BYTES, _GATHERING_S = 1024, 5e-3
_WAKE_BYTES, _WAKE_S = 16_384, 0.02
_GATE_MARGIN_S = 1.0


class BoundedProtocol(HttpToolsProtocol):
    """Closes connections whose requests are too long or take too long, in whichever part.

    One request at a time is parsed. httptools cannot be stopped within a buffer, so it is fed up to
    the end of a head or of a body of known length. Where a chunked body ends only the parser knows;
    what comes in one read with its end is dropped, and the connection closed after the response.
    """

    head_timeout_s = 10.0
    """How long a head may take to come, and a client to read what is written."""
    rest_timeout_s = 65.0
    """How long the rest of a body may take to come once its request is answered."""
    max_message_bytes = 2**27
    """Bytes of a request as they come, head, trailers and chunk sizes included."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_message = self._in_body = self._skips_end = False
        self._message_bytes = self._header_count = 0
        self._body_bytes = self._chunk_count = 0
        self._body_left = 0  # 0 also if only the parser knows
        self._ahead = b""
        self._ignoring = False
        self._parsed_s = self._parsing_since = 0.0
        self._head = HeadScanner()
        self._timers = Timers(self.loop)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._timers.stop_all()
        self._ignore_the_rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse `data`, or hold it while a request waits for its response."""
        self._parsing_since = time.perf_counter()
        rest, was_in_message, was_in_body = memoryview(data), self._in_message, self._in_body
        while rest and not self._ignoring:
            if self._busy:
                self._hold(rest)
                return
            rest = self._feed(rest)
        self._parsed_s += time.perf_counter() - self._parsing_since
        if self._in_body and self.cycle.response_complete:
            delay_s = WASTED_WORK.delay_s(self.loop.time(), len(data) * _DISCARDING_S_PER_BYTE)
            self.flow.pause_reading()
            self._timers.start("discard", delay_s, self.flow.resume_reading)
        elif was_in_body and self._in_body and len(data) < _SMALL_READ_BYTES and not self._ignoring:
            self.flow.pause_reading()  # small packets gather: every read costs the same
            self._timers.start("gather", _GATHERING_S, self._read_on)
        if not self._ignoring and self.cycle is not None and self.cycle.response_complete:
            if self._in_message:
                self._close_after_silence(self.head_timeout_s)
            elif not was_in_message:
                self._await_head()  # these were blank lines, which may come before it

    def _read_on(self) -> None:
        if len(self.cycle.body) <= HIGH_WATER_LIMIT:
            self.flow.resume_reading()

    @property
    def _busy(self) -> bool:
        """Whether a whole request has come and its response has not left."""
        if self._in_message or self.cycle is None:
            return False
        return self.flow.write_paused or not self.cycle.response_complete

    def _feed(self, data: memoryview) -> memoryview:
        """Parse as far as the request may go; return the rest."""
        size = len(data)
        if not self._in_body:
            size = self._head.scan(data)
        elif self._body_left:
            size = min(size, self._body_left)
        self._message_bytes += size
        if not self._in_body and (self._message_bytes > MAX_HEAD_BYTES or self._head.too_many):
            self._refuse(431, TOO_LARGE)
        elif self._message_bytes > self.max_message_bytes:
            self._ignore_the_rest()
            self.transport.abort()
        else:
            super().data_received(data[:size])  # type: ignore[arg-type]
            if self.transport.is_closing():
                self._ignore_the_rest()
        return data[size:]

    def _hold(self, data: memoryview) -> None:
        """Keep the beginning of the next request, and read no more for now."""
        self.flow.pause_reading()
        if len(self._ahead) + len(data) <= MAX_AHEAD_BYTES:
            self._ahead += data
        else:
            self._answer_and_close()

    def _answer_and_close(self) -> None:
        """Answer the request in progress, and no other on this connection."""
        self._ignore_the_rest()
        self.flow.pause_reading()
        self.cycle.keep_alive = False

    def _ignore_the_rest(self) -> None:
        self._ignoring = True
        self._ahead = b""

    def _refuse(self, status: int, detail: str) -> None:
        """Answer what never reaches the gate, and close."""
        self._ignore_the_rest()
        if self._in_body:
            self.cycle.disconnected = True  # for the gate; it sends nothing more
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.abort()
                return
        spent_s = _REFUSAL_S + self._parsed_s + time.perf_counter() - self._parsing_since
        delay_s = WASTED_WORK.delay_s(self.loop.time(), spent_s)  # the client may come back
        if delay_s > self.head_timeout_s:
            self.transport.abort()
            return
        self.flow.pause_reading()
        answer = partial(send_last_response, self.transport, status, detail)
        self._timers.start("refuse", delay_s, answer)

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser does not understand."""
        self._refuse(400, msg)

    def on_message_begin(self) -> None:
        """A further request on the same connection has its own time."""
        if self._ignoring:
            return
        if self._busy:
            self._answer_and_close()
            return
        super().on_message_begin()
        self._in_message = True
        self._header_count = 0
        self._body_bytes = self._body_left = self._chunk_count = 0
        self._await_head()

    def on_url(self, url: bytes) -> None:
        """Take the target of the request, or a part of it."""
        if not self._ignoring:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers, which come after the head, are dropped."""
        if self._ignoring or self._in_body:
            return
        self._header_count += 1
        if self._header_count > MAX_HEADERS:
            self._refuse(431, TOO_LARGE)
            return
        super().on_header(name, value)
        if name.lower() == b"content-length":
            self._body_left = int(value)  # the parser has checked that it is a number

    def on_headers_complete(self) -> None:
        """From here on the gate watches, until it has answered."""
        if self._ignoring:
            return
        self._timers.stop("head")
        version = self.parser.get_http_version()
        if reason := fault(self.headers, version):
            self._refuse(400, reason)
            return
        self.expect_100_continue &= version != "1.0"  # RFC 9110, 10.1.1
        super().on_headers_complete()
        self._lingering = LingeringTransport(self.transport, lambda: self._in_message)
        self.cycle.transport = self._lingering  # type: ignore[assignment]
        self._in_body = True
        self._message_bytes = 0
        self._head.restart()
        if self.parser.should_upgrade():  # to no protocol; this parser reads nothing after it
            self.cycle.keep_alive = False
            self.parser = body_parser(self, self.headers)
            self._skips_end = True

    def on_chunk_header(self) -> None:
        """Count the chunks: each takes the same time, however small it is."""
        self._chunk_count += 1
        if self._ignoring:
            return
        if self._chunk_count > MAX_TINY_CHUNKS + self._body_bytes // MIN_CHUNK_BYTES:
            self._refuse(400, f"chunks must have {MIN_CHUNK_BYTES} bytes on average")

    def on_body(self, body: bytes) -> None:
        """Collect the body; wake the gate for many bytes at once, and for few every 20 ms."""
        if self._ignoring:
            return
        self._body_bytes += len(body)
        self._body_left -= min(self._body_left, len(body))
        if self.cycle.response_complete:
            return
        self.cycle.body += body
        if len(self.cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        if len(self.cycle.body) >= _WAKE_BYTES:
            self.cycle.message_event.set()
        elif "wake" not in self._timers:
            self._timers.start("wake", _WAKE_S, self._wake)

    def _wake(self) -> None:
        self._timers.stop("wake")
        if self.cycle.body:
            self.cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Everything of this request is there, or its head if it has asked for an upgrade."""
        if self._ignoring or self._skips_end:
            self._skips_end = False
            return
        self._in_message = self._in_body = False
        self._message_bytes = 0
        self._timers.stop("rest", "gather")
        super().on_message_complete()
        if self.cycle.response_complete:
            self._close_after_silence(self.timeout_keep_alive)
        if self._lingering.closes_when_read:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for what is left of the body."""
        super().on_response_complete()
        if self._in_message and "rest" not in self._timers:
            self._timers.start("rest", self.rest_timeout_s, self.transport.abort)
            self._close_after_silence(self.head_timeout_s)
        self._go_on()

    def pause_writing(self) -> None:
        """Wait for a client that does not read; the gate, which waits as long, comes first."""
        super().pause_writing()
        self._timers.start("write", self.head_timeout_s + _GATE_MARGIN_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._timers.stop("write")
        super().resume_writing()
        self._go_on()

    def _go_on(self) -> None:
        """Take the next request that was sent ahead, if there is one."""
        if self._ahead and not self._busy and not self.transport.is_closing():
            ahead, self._ahead = self._ahead, b""
            self.data_received(ahead)

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: the gate logs the request."""

    def _await_head(self) -> None:
        if "head" not in self._timers:
            self._timers.start("head", self.head_timeout_s, self.transport.abort)

    def _close_after_silence(self, delay_s: float) -> None:
        """Close when nothing comes for so long, by uvicorn's timer, which new data ends."""
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            delay_s, self.timeout_keep_alive_handler
        )
