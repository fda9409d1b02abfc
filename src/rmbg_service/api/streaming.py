"""A response of known length that is sent in chunks, its base64 text made on the way out."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pybase64
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_CHUNK_BYTES = 192 * 1024  # a multiple of 3, so that chunks of base64 join without padding


@dataclass(frozen=True)
class Base64Text:
    """Bytes that go out as base64 text, encoded a chunk at a time."""

    data: bytes

    def __len__(self) -> int:
        """Characters of the text."""
        return -(-len(self.data) // 3) * 4


class StreamedResponse(Response):
    """`parts`, one after the other, in chunks: a slow reader costs no copy of the whole body."""

    def __init__(
        self, parts: Sequence[bytes | Base64Text], headers: dict[str, str], media_type: str
    ) -> None:
        super().__init__(None, 200, headers, media_type)
        self.headers["content-length"] = str(sum(map(len, parts)))
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head and then the body, chunk by chunk."""
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        last = b""
        for chunk in self._chunks():
            if last:
                await send({"type": "http.response.body", "body": last, "more_body": True})
                await asyncio.sleep(0)  # a client that reads fast must not keep the event loop
            last = chunk
        # With the last byte, the client may send its next request: the response must end with it.
        await send({"type": "http.response.body", "body": last, "more_body": False})

    def _chunks(self) -> Iterator[bytes]:
        for part in self._parts:
            data = memoryview(part.data if isinstance(part, Base64Text) else part)
            for start in range(0, len(data), _CHUNK_BYTES):
                chunk = bytes(data[start : start + _CHUNK_BYTES])
                yield pybase64.b64encode(chunk) if isinstance(part, Base64Text) else chunk
