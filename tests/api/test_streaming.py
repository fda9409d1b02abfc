"""Responses that are sent in chunks."""

import asyncio
import base64
import os
from itertools import pairwise

from starlette.types import Message

from rmbg_service.api.streaming import Base64Text, StreamedResponse

DATA = os.urandom(1_000_000)


async def test_chunks_join_to_the_whole_and_other_tasks_run_between_them() -> None:
    sent: list[Message] = []
    turns: list[int] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def other() -> None:
        while True:
            turns.append(len(sent))
            await asyncio.sleep(0)

    async def receive() -> Message:
        raise AssertionError

    response = StreamedResponse([b"<", Base64Text(DATA), b">"], {"X-A": "b"}, "text/plain")
    beside = asyncio.create_task(other())
    await response({}, receive, send)
    beside.cancel()
    body = b"".join(message.get("body", b"") for message in sent)
    assert body == b"<" + base64.b64encode(DATA) + b">"
    assert response.headers["content-length"] == str(len(body))
    assert len(sent) == 1 + 8 + 1
    assert max(after - before for before, after in pairwise(turns)) == 1
