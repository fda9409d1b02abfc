"""What a run makes of what a service responds; the real service is in test_batch.py."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import unquote

import httpx
import pytest

from rmbg_service.batch.removers.remote import RemoteRemover, remote_remover
from rmbg_service.batch.removers.remover import Removed, RemoverFailed, RunStopped
from rmbg_service.client import AsyncClient, ServiceError
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
    further: Sequence[RemovalOptions] = (),
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

    client = partial(AsyncClient, transport=httpx.MockTransport(answer))
    monkeypatch.setattr("rmbg_service.batch.removers.remote.AsyncClient", client)
    made = remote_remover(
        "http://test/prefix/", "sesame", options or RemovalOptions(), files or {},
        stop or asyncio.Event(), None, further,
    )  # fmt: skip
    async with made as remover:
        yield remover, requests


def problem(status: int, detail: str = "no", **headers: str) -> httpx.Response:
    text = json.dumps({"type": "t", "detail": detail})
    return httpx.Response(
        status, text=text, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


PNG = {"content-type": "image/png"}
WEBP = {"content-type": "image/webp"}
OK = httpx.Response(200, content=b"cutout", headers=PNG | {"x-rmbg-box": "1,2,3,4"})


async def test_a_request_says_what_was_asked_for_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = RemovalOptions(crop=True, margin="5%", decontaminate=False, format="webp-lossy")
    webp = httpx.Response(200, content=b"cutout", headers=dict(OK.headers) | WEBP)
    async with service(monkeypatch, webp, options=options) as (remover, requests):
        assert await remover.remove(b"photo") == Removed(b"cutout", Box(1, 2, 4, 6))
        assert (remover.model, remover.max_bytes, remover.parallel) == ("u2netp", 1000, 8)
    (request,) = requests
    assert request.url.path == "/prefix/api/remove-bg"
    assert dict(request.url.params) == {
        "crop": "true",
        "margin": "5%",
        "decontaminate": "false",
        "format": "webp-lossy",
    }
    assert request.headers["x-api-key"] == "sesame"
    assert request.content == b"photo"


async def test_an_image_is_sent_once_for_each_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    replies = [
        httpx.Response(200, content=name, headers={"content-type": "image/jpeg"})
        for name in (b"one", b"two")
    ]
    options, other = RemovalOptions(preset="amazon"), RemovalOptions(preset="jd")
    async with service(monkeypatch, *replies, options=options, further=[other]) as (
        remover,
        requests,
    ):
        assert await remover.remove(b"photo") == Removed(b"one", None, (b"two",))
    assert [request.url.params["preset"] for request in requests] == ["amazon", "jd"]
    assert [request.url.params["format"] for request in requests] == ["jpeg", "jpeg"]


async def test_further_images_go_along_as_a_form(monkeypatch: pytest.MonkeyPatch) -> None:
    reply = httpx.Response(200, content=b"cutout", headers=PNG)
    files: Files = {"background_image": b"beach", "strokes": b"white"}
    async with service(monkeypatch, reply, files=files) as (remover, requests):
        assert (await remover.remove(b"photo")).box is None
    assert requests[0].headers["content-type"].startswith("multipart/form-data")
    assert all(data in requests[0].content for data in files.values())
    assert b"photo" in requests[0].content


async def test_429_is_obeyed_as_often_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def pause(waiting: Coroutine[object, object, object], seconds: float) -> None:
        waiting.close()
        pauses.append(seconds)
        raise TimeoutError

    pauses: list[float] = []
    busy = [problem(429, retry_after="600") for _ in range(30)]
    async with service(monkeypatch, *busy, OK) as (remover, _):
        monkeypatch.setattr("asyncio.wait_for", pause)
        assert (await remover.remove(b"photo")).data == b"cutout"
    assert len(pauses) == 30
    assert sum(pauses) >= 30 * 600


async def test_another_format_than_the_one_asked_for_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jpeg = httpx.Response(200, content=b"cutout", headers={"content-type": "image/jpeg"})
    async with service(monkeypatch, jpeg) as (remover, _):
        with pytest.raises(ServiceError, match="expected image/png, got image/jpeg"):
            await remover.remove(b"photo")


async def test_a_wrong_key_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    async with service(monkeypatch, problem(401, "a key is required")) as (remover, _):
        with pytest.raises(RemoverFailed, match="set RMBG_SERVER_KEY to one of its keys"):
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
        (httpx.ConnectError("refused"), "no service at http://test/prefix/: no response: refused"),
        (httpx.Response(404), "404"),
        (httpx.Response(200, json={"name": "something else"}), "the facts about an rmbg-service"),
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
