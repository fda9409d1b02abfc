"""ASGI middleware around every request: it decides, before a byte of the body is read, what runs.

The order: a request gets its id and its record; a guarded one needs a key and, if it runs a job, a
ready engine, a body that is not too large, an allowance and a place in the budget. Then the route
answers. Errors of both become responses here, and at the end the request is logged and counted and
its reservation given back.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from rmbg_service.api.access_log import log_request
from rmbg_service.api.authentication import ApiKeys, client_address
from rmbg_service.api.exchange import ClientGone, Exchange, body_too_large
from rmbg_service.api.guard import Guard, GuardedRoutes
from rmbg_service.api.request_headers import content_length, wait_limit_s
from rmbg_service.api.request_record import InFlight, RequestRecord, request_id
from rmbg_service.errors import ClientError, MalformedRequest, NotFound, Overloaded, Unauthorized
from rmbg_service.serving.engine import Engine
from rmbg_service.serving.fair_share import Visit
from rmbg_service.serving.pacer import REQUEST_S

log = logging.getLogger("rmbg_service.request")

ErrorResponse = Callable[[Request, Exception], Response]
_MAX_LOGGED_PATH = 200
_MAX_QUERY_FIELDS = 100
_RETURN_S = 1.0  # in which a client that was refused for load returns, once it may


class Gate:
    """The middleware.

    `error_response` answers what a route raises, and what is refused before it. `in_flight` holds
    the records of the admitted requests by their id, for as long as they last.
    """

    def __init__(
        self,
        app: ASGIApp,
        engine: Engine,
        guarded_routes: GuardedRoutes,
        error_response: ErrorResponse,
        in_flight: InFlight,
    ) -> None:
        self._app = app
        self._engine = engine
        self._guarded_routes = guarded_routes
        self._error_response = error_response
        self._in_flight = in_flight
        self._keys = ApiKeys(engine.settings.api_keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        record = RequestRecord(
            id=request_id(headers.get("x-request-id", "")),
            visit=Visit(self._engine.share, client_address(scope)),
            method=scope["method"],
            path=path[:_MAX_LOGGED_PATH],
            # Routes match before a final line feed, too; no such path gets as far as a route.
            guard=self._guarded_routes.find(scope) if path.isprintable() else None,
            wait_limit_s=wait_limit_s(headers),
        )
        scope.setdefault("state", {})["record"] = record
        exchange = Exchange(
            record, self._engine.settings, self._engine.pacer, headers, receive, send
        )
        try:
            await self._engine.pacer.pace(record.visit, REQUEST_S)
            await self._serve(scope, record, headers, exchange)
        except (ClientDisconnect, ClientGone):
            record.outcome, record.status = "cancelled", 499
        except asyncio.CancelledError:  # the server stops waiting for its last requests
            record.outcome = "cancelled"
            await self._refuse(scope, exchange, self._engine.not_ready())
        except Exception as error:
            record.fail(error)
            if record.outcome == "error":
                log.exception("request failed", extra={"fields": {"request_id": record.id}})
            await self._refuse(scope, exchange, error)
        finally:
            self._leave(record)
            log_request(record, self._engine.metrics)
        return None

    async def _serve(
        self, scope: Scope, record: RequestRecord, headers: Headers, exchange: Exchange
    ) -> None:
        try:
            if not scope["path"].isprintable():
                raise NotFound("a path must not have control characters")
            if scope["query_string"].count(b"&") >= _MAX_QUERY_FIELDS:
                raise MalformedRequest("a query has at most {most} fields", most=_MAX_QUERY_FIELDS)
            if record.guard is not None:
                self._apply(record.guard, record, headers)
                if record.reservation is not None:
                    record.reservation.on_revoked = exchange.revoke
            await self._app(scope, exchange.receive, exchange.send)
        except Overloaded as error:
            if error.reason != "rate":
                self._engine.share.expect(record.visit.client, error.retry_after_s + _RETURN_S)
            raise
        except ClientError as error:
            error.with_traceback(None).__context__ = None  # their frames hold the body
            self._leave(record)
            await self._engine.pacer.pace_refused(record.visit)
            raise

    def _apply(self, guard: Guard, record: RequestRecord, headers: Headers) -> None:
        engine = self._engine
        try:
            record.client = self._keys.identify(headers)
            if engine.settings.api_keys:
                record.visit = Visit(engine.share, f"key {record.client}")
        except Unauthorized:
            record.has_key = False
            if not guard.key_optional:
                raise
        if not guard.runs_job:
            return
        settings = engine.settings
        engine.require_ready()
        if (content_length(headers) or 0) > settings.max_body_bytes:
            raise body_too_large(settings)
        engine.rate_limit.require(record.client)
        record.time_limit_s = min(settings.request_timeout_s, record.wait_limit_s)
        record.reservation = engine.budget.reserve(
            min(record.time_limit_s, guard.wait_limit_s), record.visit.client
        )
        self._in_flight[record.id] = record

    async def _refuse(self, scope: Scope, exchange: Exchange, error: Exception) -> None:
        if exchange.response_started:
            return
        response = self._error_response(Request(scope), error)
        if exchange.must_close:
            response.headers["Connection"] = "close"
        with suppress(ClientGone):
            await response(scope, exchange.receive, exchange.send)

    def _leave(self, record: RequestRecord) -> None:
        """Give back what the request holds: here, and nowhere else."""
        if record.reservation is None:
            return
        record.reservation.release(after=record.job)
        # The connection refers to the record, in a cycle that Python collects rarely.
        record.reservation = record.job = None
        if self._in_flight.get(record.id) is record:  # two clients may have chosen the same id
            del self._in_flight[record.id]
