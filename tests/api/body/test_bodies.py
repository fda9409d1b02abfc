"""Bodies: where they are parsed, and what a field may be."""

import asyncio
import base64
import sys
import threading
import weakref
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fastapi import Request
from PIL import Image

from rmbg_service.api.body.fields import Fields
from rmbg_service.api.body.forms import multipart_fields
from rmbg_service.api.body.reading import parse_body, read_body
from rmbg_service.errors import DeadlineExceeded, MalformedRequest
from rmbg_service.serving.fair_pool import FairPool
from rmbg_service.serving.fair_share import FairShare, Visit
from tests.fakes import PATH as NATIVE
from tests.fakes import picture_bytes, serving, uncollected, until

REMOVEBG = "/v1.0/removebg"
FACE = "\N{GRINNING FACE}".encode()


def part(name: str, value: bytes, boundary: str = "x") -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
    return head.encode() + value + b"\r\n"


def read(*parts: bytes, content_type: str) -> Fields:
    return multipart_fields(b"".join(parts), content_type)


@pytest.mark.parametrize(
    "charset", ["", "punycode", "utf-8", "utf-16", "undefined", "idna", "\xe9"]
)
def test_no_charset_makes_a_field_slow_or_wide(charset: str) -> None:
    kind = f"multipart/form-data; boundary=x; charset={charset}"
    ((name, value),) = read(part("a", b"x-aaaa" + FACE), b"--x--\r\n", content_type=kind)
    assert (name, value.data) == ("a", b"x-aaaa" + FACE)
    assert value.text() == "x-aaaa\N{GRINNING FACE}"


@pytest.mark.parametrize("boundary", ["a;b", 'a\\"b', "a b", "\xe9"])
def test_odd_boundaries_are_kept(boundary: str) -> None:
    quoted = boundary.replace("\\", "\\\\").replace('"', '\\"')
    parts = [part("a", b"1", "#"), b"--#--\r\n"]
    parts = [p.replace(b"#", boundary.encode("latin-1")) for p in parts]
    fields = read(*parts, content_type=f'multipart/form-data; boundary="{quoted}"')
    assert [(name, value.text()) for name, value in fields] == [("a", "1")]


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; charset=utf-8",
        "multipart/form-data; boundary=",
        "multipart/form-data" + ";" * 60_000 + "boundary=x",
    ],
)
def test_a_body_without_a_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(MalformedRequest, match="boundary"):
        read(b"", content_type=content_type)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b"--x\r\n",
        b'--x\nContent-Disposition: form-data; name="a"\n\n1\n--x--\n',
        part("a", b"1"),
        part("a", b"1") * 41 + b"--x--",
        b"--x\r\n" + b"a: b\r\n" * 100 + b"\r\n\r\n--x--\r\n",
        b"--x\r\n" + b"a" * 10_000 + b"\r\n\r\n--x--\r\n",
    ],
    ids=["empty", "cut", "cut after the boundary", "line feeds", "no end", "41 parts",
         "100 headers", "a long header"],
)  # fmt: skip
def test_what_is_not_multipart_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequest, match="cannot be read"):
        read(body, content_type="multipart/form-data; boundary=x")


def test_a_text_too_long_to_be_one_is_refused() -> None:
    kind = "multipart/form-data; boundary=x"
    (first, second) = read(
        part("a", b"\xff"), part("b", b"a" * 12_001), b"--x--", content_type=kind
    )
    assert first[1].text() == "\N{REPLACEMENT CHARACTER}"
    with pytest.raises(MalformedRequest, match="too long"):
        second[1].text()


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
    assert Image.open(BytesIO(named.content)) == Image.open(BytesIO(unnamed.content))


async def test_an_option_that_does_not_exist_is_named_as_the_client_wrote_it() -> None:
    async with serving() as (client, _):
        files: Any = {"image": ("a.png", picture_bytes()), "größe": (None, "1")}
        answer = await client.post(NATIVE, files=files)
    assert answer.status_code == 400
    assert "unknown option 'größe'" in answer.json()["detail"]


class Parsing:
    """Remembers the threads that it parses in; waits in `gate`."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.at_work = 0
        self.most_at_work = 0
        self.threads: set[str] = set()

    def __call__(self, body: bytes) -> int:
        self.at_work += 1
        self.most_at_work = max(self.at_work, self.most_at_work)
        self.threads.add(threading.current_thread().name)
        assert self.gate.wait(60)
        self.at_work -= 1
        return len(body)


def request_of_a_client(share: FairShare) -> Request:
    request = Request({"type": "http", "headers": []})
    request.state.record = SimpleNamespace(visit=Visit(share, ""))
    return request


async def test_large_bodies_are_parsed_one_at_a_time_off_the_event_loop() -> None:
    share, parse = FairShare(), Parsing()
    request = request_of_a_client(share)
    parser = FairPool(share, "parser", 1, 60.0, pytest.fail)
    running = [
        asyncio.create_task(parse_body(request, parser, parse, bytes(65_537))) for _ in range(5)
    ]
    await until(lambda: parse.at_work == 1)
    parse.gate.set()
    assert await asyncio.gather(*running) == [65_537] * 5
    assert parse.most_at_work == 1
    assert len(parse.threads) == 1
    assert "MainThread" not in parse.threads
    assert await parse_body(request, parser, parse, bytes(65_536)) == 65_536
    assert "MainThread" in parse.threads
    parser.close()


async def test_a_body_whose_parsing_never_ends_costs_its_own_request_only() -> None:
    share, parse = FairShare(), Parsing()
    request = request_of_a_client(share)
    parser = FairPool(share, "parser", 1, 0.05, pytest.fail)
    with pytest.raises(DeadlineExceeded):
        await parse_body(request, parser, parse, bytes(65_537))
    assert await parse_body(request, parser, len, bytes(65_537)) == 65_537
    parse.gate.set()
    parser.close()


LARGE = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)


@pytest.mark.parametrize("path", [NATIVE, REMOVEBG])
@pytest.mark.parametrize("form", ["json", "multipart", "base64", "urlencoded"])
async def test_every_form_of_a_large_body_is_parsed_off_the_event_loop(
    path: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = BytesIO()
    Image.fromarray(LARGE).save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    native = path == NATIVE
    bodies: dict[str, dict[str, Any]] = {
        "json": {"json": {"image" if native else "image_file_b64": text}},
        "multipart": {"files": {"image" if native else "image_file": ("a", buffer.getvalue())}},
        "base64": {"files": {"image" if native else "image_file_b64": (None, text)}},
        "urlencoded": {"data": {"image_file_b64": text}},
    }
    threads = []
    for name in ("json_fields", "multipart_fields", "urlencoded_fields"):
        for module in ("native", "removebg"):
            place = f"rmbg_service.api.{module}.request.{name}"
            if name == "urlencoded_fields" and module == "native":
                continue
            real = getattr(sys.modules[place.rpartition(".")[0]], name)

            def parse(*args: Any, real: Any = real, **more: Any) -> Any:
                threads.append(threading.current_thread().name)
                return real(*args, **more)

            monkeypatch.setattr(place, parse)
    async with serving() as (client, _):
        answer = await client.post(path, **bodies[form])
        if native and form == "urlencoded":
            assert answer.status_code == 415
        else:
            assert answer.status_code == 200, answer.text
            assert [name.startswith("parser") for name in threads] == [True]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=b", part("a", b"1", "b") * 20_000 + b"--b--"),
        ("multipart/form-data; boundary=b", b"x" * 200_000),
        ("application/json", b'{"image": "' + b"%" * 200_000 + b'"}'),
        ("application/json", b'{"image": "' + b"A" * 200_000 + b'"}'),
        ("application/json", b"{" * 200_000),
        ("application/x-www-form-urlencoded", b"image_file_b64=" + b"%41" * 100_000),
        ("image/png", b"x" * 200_000),
    ],
)
@pytest.mark.parametrize("path", [NATIVE, REMOVEBG])
async def test_a_body_that_is_refused_is_freed_at_once(
    path: str, kind: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not when the garbage collector comes by, which may be after many more of them."""

    class Body(bytearray):
        pass

    bodies: list[weakref.ref[Body]] = []

    async def read(request: Request) -> Body:
        read = Body(await read_body(request))
        bodies.append(weakref.ref(read))
        return read

    monkeypatch.setattr("rmbg_service.api.native.request.read_body", read)
    monkeypatch.setattr("rmbg_service.api.removebg.request.read_body", read)
    async with serving() as (client, _):
        with uncollected():
            answer = await client.post(path, content=body, headers={"content-type": kind})
            assert answer.status_code >= 400
            assert bodies or answer.status_code == 415 or kind == "image/png"
            await until(lambda: all(body() is None for body in bodies))


async def test_a_member_of_a_json_object_is_given_once() -> None:
    text = base64.b64encode(picture_bytes()).decode()
    async with serving() as (client, _):
        for members in (f'"image": "{text}", "output": "matte", "output": "matte"',
                        f'"image": "{text}", "image": "{text}"'):  # fmt: skip
            answer = await client.post(
                NATIVE, content=f"{{{members}}}", headers={"content-type": "application/json"}
            )
            assert answer.status_code == 400
            assert "given twice in the JSON object" in answer.json()["detail"]


async def test_a_long_value_is_named_and_not_repeated() -> None:
    text = base64.b64encode(picture_bytes()).decode()
    async with serving() as (client, _):
        answer = await client.post(NATIVE, json={"image": text, "background": "x" * 100_000})
        assert answer.json()["detail"] == "the value of 'background' is too long"
        answer = await client.post(REMOVEBG, json={"image_file_b64": text, "roi": "x" * 100_000})
        (error,) = answer.json()["errors"]
        assert (error["code"], error["detail"]) == ("invalid_roi", "the value of 'roi' is too long")
