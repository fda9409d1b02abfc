"""A response in pieces, some of them base64 that is made on the way out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pybase64
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_PIECE_BYTES = 192 * 1024  # a multiple of 3, so that pieces of base64 join without padding


@dataclass(frozen=True)
class Base64Text:
    """Bytes that go out as base64 text, encoded a piece at a time."""

    data: bytes

    def __len__(self) -> int:
        """Characters of the text."""
        return -(-len(self.data) // 3) * 4


class PiecesResponse(Response):
    """A body of known length, sent in pieces, so that a slow reader's memory stays bounded."""

    def __init__(
        self, parts: Sequence[bytes | Base64Text], headers: dict[str, str], media_type: str
    ) -> None:
        super().__init__(None, 200, headers, media_type)
        self.headers["content-length"] = str(sum(map(len, parts)))
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the body piece by piece."""
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        for piece in self._pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _pieces(self) -> Iterator[bytes]:
        for part in self._parts:
            data = memoryview(part.data if isinstance(part, Base64Text) else part)
            for start in range(0, len(data), _PIECE_BYTES):
                piece = bytes(data[start : start + _PIECE_BYTES])
                yield pybase64.b64encode(piece) if isinstance(part, Base64Text) else piece
