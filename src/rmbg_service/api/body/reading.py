"""A body's bytes, and the thread that takes them apart."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TypeVar

from fastapi import Request

from rmbg_service.errors import UnsupportedMediaType
from rmbg_service.serving.fair_share import FairShare, FairSlots, Visit
from rmbg_service.system.resources import step_back

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


class ParsingThread:
    """Parses one body at a time, so that neither the event loop nor memory has to bear many.

    A body of at most 64 KiB costs the event loop no more than a thread's hand-over would, and does
    not queue behind large ones. Clients take turns, as `share` says.
    """

    def __init__(self, share: FairShare) -> None:
        self._thread = ThreadPoolExecutor(1, "parser", step_back)
        self._turns = FairSlots(share, 1)

    async def run(self, visit: Visit, parse: Callable[[bytes], _T], body: bytes) -> _T:
        """The result of `parse(body)`, its time charged to `visit`."""
        if len(body) <= _INLINE_BYTES:
            return parse(body)
        loop = asyncio.get_running_loop()
        async with self._turns.slot(visit.client):
            with visit.measure():
                return await loop.run_in_executor(self._thread, parse, body)

    def close(self) -> None:
        """Let the thread end, and forget what still waits for it."""
        self._thread.shutdown(wait=False, cancel_futures=True)
