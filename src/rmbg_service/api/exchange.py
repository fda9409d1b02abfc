"""Both directions of one request: counted, and bounded and timed if it runs a job."""

import asyncio
import time
from collections.abc import Iterable
from typing import TypeAlias

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Send

from rmbg_service.api.request_headers import content_length
from rmbg_service.api.request_record import RequestRecord
from rmbg_service.errors import BodyTooLarge, Cancelled, Overloaded, UploadTimeout
from rmbg_service.serving.pacer import BODY_S_PER_BYTE, Pacer
from rmbg_service.settings import Settings

Header: TypeAlias = tuple[bytes, bytes]
# No cache keeps a person's image, and no browser takes a response for something that it is not.
_COMMON_HEADERS: list[Header] = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]

_PACED_BYTES = 1_000_000  # a body of less is paced once


class ClientGone(Cancelled):
    """The client has left or stopped reading; there is nobody to answer."""


class Exchange:
    """ASGI's `receive` and `send` of one request.

    `must_close` says that the connection has to end with the response, because what is left of the
    body cannot be read.
    """

    def __init__(
        self,
        record: RequestRecord,
        settings: Settings,
        pacer: Pacer,
        headers: Headers,
        receive: Receive,
        send: Send,
    ) -> None:
        self.record = record
        self._settings = settings
        self._pacer = pacer
        self._unpaced_bytes = 0
        self._receive = receive
        self._send = send
        self._timeout: asyncio.Timeout | None = None
        self._revocation: Overloaded | None = None
        self._upload_ends = time.monotonic() + settings.upload_timeout_s
        self._body_complete = False
        self.response_started = False
        # A body of known and allowed length may flow on unread; any other ends the connection.
        length = content_length(headers) if "content-length" in headers else 0
        allowed = length is not None and length <= settings.max_body_bytes
        self.must_close = "transfer-encoding" in headers or not allowed

    async def receive(self) -> Message:
        """The next message of the client.

        While the body of a request that runs a job comes, it raises `UploadTimeout`, `BodyTooLarge`
        or what `revoke` was given.
        """
        if not self.record.runs_job or self._body_complete:
            return await self._receive()
        left = self._upload_ends - time.monotonic()
        self._require_reservation()
        try:
            async with asyncio.timeout(min(left, self._settings.client_idle_timeout_s)) as timeout:
                self._timeout = timeout
                message = await self._receive()
        except TimeoutError:
            self._require_reservation()
            self.must_close = True
            raise UploadTimeout(
                "the body must arrive within {limit:g} s, without a pause of {pause:g} s",
                limit=self._settings.upload_timeout_s,
                pause=self._settings.client_idle_timeout_s,
            ) from None
        finally:
            self._timeout = None
        if message["type"] == "http.request":
            self.record.bytes_in += len(message.get("body", b""))
            if not message.get("more_body", False):
                self._body_complete = True
                self._require_reservation()
                if self.record.reservation is not None:
                    self.record.reservation.on_revoked = None
                self.record.deadline = time.monotonic() + self.record.time_limit_s
            if self.record.bytes_in > self._settings.max_body_bytes:
                self.must_close = True
                raise body_too_large(self._settings)
            await self._pace(len(message.get("body", b"")))
        return message

    def revoke(self, error: Overloaded) -> None:
        """Stop reading the body: `receive` raises `error`."""
        self._revocation = error
        if self._timeout is not None:
            self._timeout.reschedule(0)

    def _require_reservation(self) -> None:
        if self._revocation is not None:
            self.must_close = True
            raise self._revocation

    async def _pace(self, size: int) -> None:
        self._unpaced_bytes += size
        if self._unpaced_bytes >= _PACED_BYTES or self._body_complete:
            seconds = self._unpaced_bytes * BODY_S_PER_BYTE
            self._unpaced_bytes = 0
            await self._pacer.pace(self.record.visit, seconds)

    async def send(self, message: Message) -> None:
        """Send `message`, or raise `ClientGone` when the client takes nothing for too long."""
        if message["type"] == "http.response.start":
            self.response_started = True
            self.record.status = message["status"]
            message = {**message, "headers": self._with_common_headers(message["headers"])}
        else:
            self.record.bytes_out += len(message.get("body", b""))
        try:
            async with asyncio.timeout(self._settings.client_idle_timeout_s):
                await self._send(message)
        except TimeoutError:
            raise ClientGone from None

    def _with_common_headers(self, headers: Iterable[tuple[bytes, bytes]]) -> list[Header]:
        """`headers` and those that every response has, unless its route has set them."""
        own = list(headers)
        names = {name.lower() for name, _ in own}
        common = [*_COMMON_HEADERS, (b"x-request-id", self.record.id.encode())]
        return own + [(name, value) for name, value in common if name not in names]


def body_too_large(settings: Settings) -> BodyTooLarge:
    """The error for a body of more bytes than the service reads."""
    return BodyTooLarge(
        "the request body may have at most {most:,} bytes", most=settings.max_body_bytes
    )
