"""Multipart bodies: a byte is a character, whatever the client says."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from fastapi import Request
from starlette.datastructures import FormData
from starlette.types import Message

from rmbg_service.api import body
from rmbg_service.errors import MalformedRequest
from tests.fakes import PATH as NATIVE
from tests.fakes import picture_bytes, serving

REMOVEBG = "/v1.0/removebg"
FACE = "\N{GRINNING FACE}".encode()


def part(name: str, value: bytes, boundary: str = "x") -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
    return head.encode() + value + b"\r\n"


async def read(parts: Sequence[bytes], content_type: str) -> FormData:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"".join(parts), "more_body": False}

    headers = [(b"content-type", content_type.encode("latin-1"))]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    return await body.read_multipart(request, 10**6)


@pytest.mark.parametrize(
    "charset", ["", "punycode", "utf-8", "utf-16", "undefined", "idna", "\xe9"]
)
async def test_no_charset_makes_a_field_slow_or_wide(charset: str) -> None:
    kind = f"multipart/form-data; boundary=x; charset={charset}"
    form = await read([part("a", b"x-aaaa" + FACE), b"--x--\r\n"], kind)
    text = form["a"]
    assert isinstance(text, str)
    assert text == (b"x-aaaa" + FACE).decode("latin-1"), "so it takes a byte a character"
    assert body.utf8_text(text) == "x-aaaa\N{GRINNING FACE}"


@pytest.mark.parametrize("boundary", ["a;b", 'a\\"b', "a b", "\xe9"])
async def test_odd_boundaries_are_kept(boundary: str) -> None:
    quoted = boundary.replace("\\", "\\\\").replace('"', '\\"')
    parts = [part("a", b"1", "#"), b"--#--\r\n"]
    parts = [p.replace(b"#", boundary.encode("latin-1")) for p in parts]
    form = await read(parts, f'multipart/form-data; boundary="{quoted}"')
    assert form["a"] == "1"


async def test_a_body_without_a_boundary_is_refused() -> None:
    with pytest.raises(MalformedRequest, match="boundary"):
        await read([b""], "multipart/form-data; charset=utf-8")


def test_a_text_too_long_to_be_one_stays_as_it_is() -> None:
    assert body.utf8_text("\xc3\xa9") == "\xe9"
    assert body.utf8_text("\xff") == "\N{REPLACEMENT CHARACTER}"
    assert body.utf8_text("\xc3\xa9" * 10_000) == "\xc3\xa9" * 10_000


def bmp_that_is_utf8() -> bytes:
    """A picture every byte of which is text: it was read as such where it had no file name."""
    pixels = np.full((64, 64, 3), (0xC3, 0xA9, 0x20), np.uint8)
    numbers = (54 + pixels.size, 0, 54, 40, 64, 64, 0x180001, 0, pixels.size, 0, 0, 0, 0)
    return b"BM" + b"".join(number.to_bytes(4, "little") for number in numbers) + pixels.tobytes()


async def test_a_picture_without_a_file_name_is_taken_byte_for_byte() -> None:
    data = bmp_that_is_utf8()
    assert data.decode()
    async with serving() as (client, _):
        named = await client.post(REMOVEBG, files={"image_file": ("a.bmp", data)})
        unnamed = await client.post(REMOVEBG, files={"image_file": (None, data)})
    assert named.status_code == unnamed.status_code == 200
    assert named.content == unnamed.content


async def test_an_option_that_does_not_exist_is_named_as_the_client_wrote_it() -> None:
    async with serving() as (client, _):
        files: Any = {"image": ("a.png", picture_bytes()), "größe": (None, "1")}
        answer = await client.post(NATIVE, files=files)
    assert answer.status_code == 400
    assert "unknown option 'größe'" in answer.json()["detail"]
