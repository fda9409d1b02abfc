"""A body's bytes, and where they are taken apart."""

from collections.abc import Callable
from io import BytesIO
from typing import TypeVar

from fastapi import Request

from rmbg_service.errors import UnsupportedMediaType
from rmbg_service.serving.fair_pool import FairPool

_INLINE_BYTES = 65_536
_T = TypeVar("_T")


def content_type(request: Request) -> str:
    """The media type of the body, in lower case and without parameters; empty if missing."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request) -> bytes:
    """The whole body; the gate bounds its bytes and the time that it takes to arrive.

    Raises `UnsupportedMediaType` for a compressed one.
    """
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedMediaType("Content-Encoding is not supported: send the body as it is")
    body = BytesIO()
    async for chunk in request.stream():
        body.write(chunk)
    return body.getvalue()  # what it holds, not a copy


async def parse_body(
    request: Request, parser: FairPool, parse: Callable[[bytes], _T], body: bytes
) -> _T:
    """The result of `parse(body)`, which costs neither the event loop nor other clients much.

    A body of at most 64 KiB costs the event loop no more than a thread's hand-over would, and does
    not queue behind large ones.
    """
    if len(body) <= _INLINE_BYTES:
        return parse(body)
    return await parser.run_for(request.state.record.visit, lambda: parse(body))
