"""Responses that are sent in chunks."""

import asyncio
import base64
import os
from itertools import pairwise

import pytest
from starlette.types import Message

from rmbg_service.api.streaming import Base64Text, StreamedResponse

DATA = os.urandom(1_000_000)


async def receive() -> Message:
    raise AssertionError


async def test_chunks_join_to_the_whole_and_other_tasks_run_between_them() -> None:
    sent: list[Message] = []
    turns: list[int] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def other() -> None:
        while True:
            turns.append(len(sent))
            await asyncio.sleep(0)

    response = StreamedResponse([b"<", Base64Text(DATA), b">"], {"X-A": "b"}, "text/plain")
    beside = asyncio.create_task(other())
    await response({}, receive, send)
    beside.cancel()
    body = b"".join(message.get("body", b"") for message in sent)
    assert body == b"<" + base64.b64encode(DATA) + b">"
    assert response.headers["content-length"] == str(len(body))
    assert len(sent) == 1 + 8
    assert max(after - before for before, after in pairwise(turns)) == 1


@pytest.mark.parametrize("parts", [[b""], [b"a"], [bytes(500_000), b"b"], [Base64Text(b"abcd")]])
async def test_the_last_byte_ends_the_response(parts: list[bytes | Base64Text]) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    response = StreamedResponse(parts, {}, "image/png")
    await response({"type": "http"}, receive, send)
    bodies = [message for message in sent if message["type"] == "http.response.body"]
    assert [message["more_body"] for message in bodies] == [True] * (len(bodies) - 1) + [False]
    assert all(message["body"] for message in bodies) or parts == [b""]
    assert sum(len(message["body"]) for message in bodies) == sum(map(len, parts))
