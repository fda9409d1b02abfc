"""What a service may answer, and what is made of it; the real service is in test_batch.py."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from rmbg_service.batch.removers.remote import (
    MAX_ATTEMPTS,
    RemoteRemover,
    remote_remover,
)
from rmbg_service.batch.removers.remover import (
    RemoverFailed,
    RunStopped,
    ServiceError,
    ServiceUnavailable,
)
from rmbg_service.errors import ConfigurationError
from rmbg_service.removal.attachments import Files
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.types import Box
from tests.fakes import until

INFO = {
    "model": {"name": "u2netp", "device": "cpu"},
    "limits": {
        "max_body_bytes": 1000,
        "max_inflight_jobs": 16,
        "request_timeout_s": 30,
        "upload_timeout_s": 60,
    },
}
Reply = httpx.Response | Exception


@asynccontextmanager
async def service(
    monkeypatch: pytest.MonkeyPatch,
    *replies: Reply,
    info: Reply | None = None,
    options: RemovalOptions | None = None,
    files: Files | None = None,
    stop: asyncio.Event | None = None,
) -> AsyncIterator[tuple[RemoteRemover, list[httpx.Request]]]:
    """A remover of a service that gives `replies` in turn, and what it was sent."""
    requests: list[httpx.Request] = []
    left = list(replies)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/api/info"):
            reply = info or httpx.Response(200, json=INFO)
        else:
            requests.append(request)
            reply = left.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    plain = httpx.AsyncClient

    def client(**arguments: Any) -> httpx.AsyncClient:
        return plain(transport=httpx.MockTransport(answer), **arguments)

    monkeypatch.setattr(httpx, "AsyncClient", client)
    made = remote_remover(
        "http://test/prefix/", "sesame", options or RemovalOptions(), files or {},
        stop or asyncio.Event(),
    )  # fmt: skip
    async with made as remover:
        yield remover, requests


def problem(status: int, detail: str = "no", **headers: str) -> httpx.Response:
    text = json.dumps({"type": "t", "detail": detail})
    return httpx.Response(
        status, text=text, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def record_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []

    async def pause(_: RemoteRemover, seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(RemoteRemover, "pause", pause)
    return pauses


PNG = {"content-type": "image/png"}
WEBP = {"content-type": "image/webp"}
OK = httpx.Response(200, content=b"cutout", headers=PNG | {"x-rmbg-box": "1,2,3,4"})


async def test_a_request_says_what_was_asked_for_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = RemovalOptions(crop=True, margin="5%", decontaminate=False, format="webp-lossy")
    webp = httpx.Response(200, content=b"cutout", headers=dict(OK.headers) | WEBP)
    async with service(monkeypatch, webp, options=options) as (remover, requests):
        assert await remover.remove(b"photo") == (b"cutout", Box(1, 2, 4, 6))
        assert (remover.model, remover.max_bytes, remover.parallel) == ("u2netp", 1000, 8)
    (request,) = requests
    assert request.url.path == "/prefix/api/remove-bg"
    assert dict(request.url.params) == {
        "crop": "true",
        "margin": "5%",
        "decontaminate": "false",
        "format": "webp-lossy",
    }
    assert request.headers["accept"] == "image/webp"
    assert request.headers["x-api-key"] == "sesame"
    assert request.content == b"photo"


async def test_a_background_picture_goes_along_as_a_form(monkeypatch: pytest.MonkeyPatch) -> None:
    reply = httpx.Response(200, content=b"cutout", headers=PNG)
    async with service(monkeypatch, reply, files={"background_image": b"beach"}) as (
        remover,
        requests,
    ):
        assert (await remover.remove(b"photo")).box is None
    assert requests[0].headers["content-type"].startswith("multipart/form-data")
    assert b"beach" in requests[0].content
    assert b"photo" in requests[0].content


async def test_429_is_obeyed_as_often_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = record_pauses(monkeypatch)
    busy = [problem(429, retry_after=str(s)) for s in range(1, 31)]
    async with service(monkeypatch, *busy, OK) as (remover, _):
        assert (await remover.remove(b"photo")).data == b"cutout"
    assert pauses == list(range(1, 31))


async def test_a_restart_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = record_pauses(monkeypatch)
    restart: list[Reply] = [
        httpx.ReadError("reset"),
        httpx.ConnectError("refused"),
        problem(503, retry_after="10"),
        problem(503, retry_after="soon"),
        problem(504),
    ]
    async with service(monkeypatch, *restart, OK) as (remover, requests):
        assert (await remover.remove(b"photo")).data == b"cutout"
    assert pauses == [1, 2, 10, 8, 16]
    assert {request.content for request in requests} == {b"photo"}


async def test_a_service_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = record_pauses(monkeypatch)
    dead = [httpx.ConnectError("refused")] * MAX_ATTEMPTS
    async with service(monkeypatch, *dead) as (remover, _):
        with pytest.raises(ServiceUnavailable, match="10 attempts: no answer: refused"):
            await remover.remove(b"photo")
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (problem(422, "the png file cannot be decoded"), "cannot be decoded"),
        (problem(500, "the model failed"), "the model failed"),
        (httpx.Response(200, html="<html>Please log in"), "expected image/png, got 'text/html'"),
        (httpx.Response(200, content=b"", headers=PNG), "expected image/png"),
        (httpx.Response(413, text="<html>nginx"), "answered 413"),
        (httpx.Response(400, json=["odd"]), "answered 400"),
    ],
)
async def test_the_answer_about_a_picture_is_its_error(
    monkeypatch: pytest.MonkeyPatch, reply: httpx.Response, says: str
) -> None:
    async with service(monkeypatch, reply) as (remover, requests):
        with pytest.raises(ServiceError, match=says):
            await remover.remove(b"photo")
    assert len(requests) == 1


async def test_a_wrong_key_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    async with service(monkeypatch, problem(401, "a key is required")) as (remover, _):
        with pytest.raises(RemoverFailed, match="RMBG_SERVER_KEY"):
            await remover.remove(b"photo")


@pytest.mark.parametrize("name", ["u2netp", "mod%C3%A8le%20%25.v2"])
async def test_another_model_in_the_middle_of_the_run_ends_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    info = INFO | {"model": {"name": unquote(name)}}
    replies = [
        httpx.Response(200, content=b"cutout", headers=PNG | {"x-rmbg-model": model})
        for model in (name, "BiRefNet")
    ]
    told = httpx.Response(200, json=info)
    async with service(monkeypatch, *replies, info=told) as (remover, _):
        assert (await remover.remove(b"photo")).data == b"cutout"
        with pytest.raises(RemoverFailed, match="the service now runs BiRefNet"):
            await remover.remove(b"photo")


async def test_a_stop_ends_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = asyncio.Event()
    busy = problem(429, retry_after="60")
    async with service(monkeypatch, busy, stop=stop) as (remover, requests):
        running = asyncio.create_task(remover.remove(b"photo"))
        await until(lambda: len(requests) == 1)
        stop.set()
        with pytest.raises(RunStopped):
            await running


@pytest.mark.parametrize(
    ("info", "says"),
    [
        (httpx.ConnectError("refused"), "no service at http://test/prefix/: refused"),
        (httpx.Response(404), "404"),
        (httpx.Response(200, json={"name": "something else"}), "is not an rmbg-service"),
    ],
)
async def test_no_service_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, info: Reply, says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        async with service(monkeypatch, info=info):
            pass


@pytest.mark.parametrize(("url", "key"), [("http://x:port", ""), ("http://x", "schlüssel\n")])
async def test_a_url_or_key_that_cannot_be_sent_is_one_clear_error(url: str, key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        async with remote_remover(url, key, RemovalOptions(), {}, asyncio.Event()):
            pass
    assert not key or key not in str(caught.value)
