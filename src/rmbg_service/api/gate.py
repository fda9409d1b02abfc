"""The door, in pure ASGI: who may come in is decided before a byte of the body is read.

Around every request: its id, its log line, its metrics, and the one place where errors become
responses. Around those with a `Door`: the API key and, where a job is run, state, admission, the
bounds on the body and the time-outs on both directions.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rmbg_service.api.native.problems import problem_response
from rmbg_service.api.record import InFlight, RequestRecord, outcome_of, request_id
from rmbg_service.errors import (
    BodyTooLarge,
    NotFound,
    NotReady,
    Overloaded,
    Unauthorized,
    UploadTimeout,
)
from rmbg_service.serving.engine import Engine

log = logging.getLogger("rmbg_service.request")

ErrorResponse = Callable[[Exception, RequestRecord], Response]
_MAX_LOGGED_PATH = 200
_QUIET_PATHS = ("/livez", "/readyz", "/health", "/metrics", "/api/jobs/", "/static/")


@dataclass(frozen=True)
class Door:
    """How a route that needs a key is guarded.

    `error_response` is the form of its errors. One that `runs_job` is admitted to the engine first,
    unless its client would have to queue for longer than `wait_limit_s`.
    """

    error_response: ErrorResponse
    runs_job: bool = True
    wait_limit_s: float = float("inf")


def behind_a_door(request: Request) -> None:
    """What every route with a door depends on: without the gate it is closed."""
    if request.state.record.door is None:
        raise RuntimeError("the gate does not guard this route")


class Gate:
    """ASGI middleware; `doors` are found by method and path.

    `in_flight` has the records of the admitted requests, by their id, as long as they last.
    """

    def __init__(
        self,
        app: ASGIApp,
        engine: Engine,
        doors: Mapping[tuple[str, str], Door],
        in_flight: InFlight,
    ) -> None:
        self._app = app
        self._engine = engine
        self._doors = doors
        self._in_flight = in_flight
        self._keys = [key.get_secret_value().encode() for key in engine.settings.api_keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        record = RequestRecord(
            id=request_id(headers.get("x-request-id", "")),
            method=scope["method"],
            path=path[:_MAX_LOGGED_PATH],
            wait_limit_s=wait_limit_s(headers),
        )
        scope.setdefault("state", {})["record"] = record
        # Starlette's routes match before a final line feed; doors are found by the exact path.
        printable = "".join(filter(str.isprintable, path))
        nearest = self._doors.get((scope["method"], printable))
        door = record.door = nearest if path == printable else None
        runs_job = door is not None and door.runs_job
        error_response = problem_response if nearest is None else nearest.error_response
        exchange = _Exchange(record, self._engine, headers, receive, send, limited=runs_job)
        try:
            if path != printable:
                raise NotFound("a path has no control characters")
            if door is not None:
                record.client = self._check_key(headers)
                if door.runs_job:
                    self._admit(record, headers, door.wait_limit_s)
            await self._app(scope, exchange.receive, exchange.send)
        except (ClientDisconnect, ClientGone):
            record.outcome, record.status = "cancelled", 499
        except asyncio.CancelledError:  # the server's patience with its last requests is over
            record.outcome = "cancelled"
            if not exchange.response_started:
                await _refuse(scope, exchange, error_response, self._engine.not_ready())
        except Exception as error:
            record.outcome = outcome_of(error)
            if record.outcome == "error":
                log.exception("request failed", extra={"fields": {"request_id": record.id}})
            if not exchange.response_started:
                await _refuse(scope, exchange, error_response, error)
            self._count_rejection(error)
        finally:
            if record.reservation is not None:
                record.reservation.release()
                if self._in_flight.get(record.id) is record:  # two may have chosen the same id
                    del self._in_flight[record.id]
            self._finish(record, runs_job)
        return None

    def _admit(self, record: RequestRecord, headers: Headers, wait_limit_s: float) -> None:
        self._engine.require_ready()
        settings = self._engine.settings
        length = _whole_number(headers.get("content-length", ""))
        if length is not None and length > settings.max_body_bytes:
            raise BodyTooLarge(_too_many_bytes(settings.max_body_bytes))
        self._engine.rate_limit.require(record.client)
        record.time_limit_s = min(settings.request_timeout_s, record.wait_limit_s)
        record.reservation = self._engine.budget.reserve(min(record.time_limit_s, wait_limit_s))
        self._in_flight[record.id] = record

    def _check_key(self, headers: Headers) -> int:
        """The number of the key that was sent; 0 where none is needed."""
        if not self._keys:
            return 0
        scheme, _, token = headers.get("authorization", "").partition(" ")
        given = headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
        # Every key is compared, in constant time each, so that the time tells nothing.
        matches = [hmac.compare_digest(given.encode(), key) for key in self._keys]
        if not any(matches):
            raise Unauthorized(
                "an API key is required: X-API-Key: KEY or Authorization: Bearer KEY"
            )
        return matches.index(True)

    def _count_rejection(self, error: Exception) -> None:
        if isinstance(error, Overloaded):
            self._engine.metrics.rejected.labels(error.reason).inc()
        elif isinstance(error, NotReady):
            self._engine.metrics.rejected.labels("not_ready").inc()

    def _finish(self, record: RequestRecord, runs_job: bool) -> None:
        level = logging.DEBUG if record.path.startswith(_QUIET_PATHS) else logging.INFO
        log.log(level, "request", extra={"fields": record.fields()})
        if not runs_job:
            return
        metrics = self._engine.metrics
        metrics.requests.labels(record.outcome).inc()
        metrics.request_seconds.observe(time.perf_counter() - record.started)
        for stage, seconds in dict(record.timings.seconds).items():
            metrics.stage_seconds.labels(stage).observe(seconds)
        if record.info is not None and record.outcome != "rejected":
            metrics.image_megapixels.observe(record.info.pixels / 1e6)
        if record.outcome == "ok":
            metrics.response_bytes.observe(record.bytes_out)


async def _refuse(
    scope: Scope, exchange: "_Exchange", error_response: ErrorResponse, error: Exception
) -> None:
    response = error_response(error, exchange.record)
    if exchange.must_close:
        response.headers["Connection"] = "close"
    with suppress(ClientGone):
        await response(scope, exchange.receive, exchange.send)


class ClientGone(Exception):
    """The client has left or stopped reading; there is nobody to answer."""


class _Exchange:
    """Both directions of one request, counted, bounded and timed."""

    def __init__(
        self,
        record: RequestRecord,
        engine: Engine,
        headers: Headers,
        receive: Receive,
        send: Send,
        *,
        limited: bool,
    ) -> None:
        self.record = record
        self._settings = engine.settings
        self._receive = receive
        self._send = send
        self._limited = limited
        self._upload_ends = time.monotonic() + engine.settings.upload_timeout_s
        self._body_complete = False
        self.response_started = False
        # A body of known and allowed length may flow on unread; any other ends the connection.
        length = _whole_number(headers.get("content-length", "0"))
        allowed = length is not None and length <= engine.settings.max_body_bytes
        self.must_close = "transfer-encoding" in headers or not allowed

    async def receive(self) -> Message:
        if not self._limited or self._body_complete:
            return await self._receive()
        left = self._upload_ends - time.monotonic()
        try:
            async with asyncio.timeout(min(left, self._settings.client_idle_timeout_s)):
                message = await self._receive()
        except TimeoutError:
            self.must_close = True
            raise UploadTimeout(
                f"the body must arrive within {self._settings.upload_timeout_s:g} s, without a "
                f"pause of {self._settings.client_idle_timeout_s:g} s"
            ) from None
        if message["type"] == "http.request":
            self.record.bytes_in += len(message.get("body", b""))
            if not message.get("more_body", False):
                self._body_complete = True
                self.record.deadline = time.monotonic() + self.record.time_limit_s
            if self.record.bytes_in > self._settings.max_body_bytes:
                self.must_close = True
                raise BodyTooLarge(_too_many_bytes(self._settings.max_body_bytes))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.response_started = True
            self.record.status = message["status"]
            message = {
                **message,
                "headers": [*message["headers"], (b"x-request-id", self.record.id.encode())],
            }
        else:
            self.record.bytes_out += len(message.get("body", b""))
        try:
            async with asyncio.timeout(self._settings.client_idle_timeout_s):
                await self._send(message)
        except TimeoutError:
            raise ClientGone from None


def wait_limit_s(headers: Headers) -> float:
    """How long the client will wait: `Prefer: wait=SECONDS` (RFC 7240, section 4.3).

    As the RFC wants, the first one counts, and what is not understood is as if it were not there.
    """
    for preference in ",".join(headers.getlist("prefer")).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        seconds = _whole_number(value.strip().strip('"'))
        if name.strip().lower() == "wait" and seconds:
            return float(seconds)
    return float("inf")


def _whole_number(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()):
        return None
    return int(text) if len(text) <= 15 else 10**15  # larger than anything it is compared with


def _too_many_bytes(limit: int) -> str:
    return f"the request body may have at most {limit} bytes"
