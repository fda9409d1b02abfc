"""Both clients, against what a service may respond, and against a real one."""

import asyncio
import json
import math
import threading
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal, cast, get_args, get_type_hints

import httpx
import pytest

from rmbg_service.client import (
    AsyncClient,
    Client,
    Options,
    Result,
    Retries,
    ServiceError,
    ServiceUnavailable,
)
from rmbg_service.errors import ConfigurationError
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.types import Box
from tests.fakes import FakePredictor, picture_bytes
from tests.server import running_server

Reply = httpx.Response | Exception
Kind = Literal["blocking", "asyncio"]
PNG = {"content-type": "image/png"}


def cutout(**headers: str) -> httpx.Response:
    return httpx.Response(200, content=b"cutout", headers=PNG | headers)


def problem(status: int, detail: str = "no", retry_after: str = "") -> httpx.Response:
    text = json.dumps({"type": "some-problem", "detail": detail})
    return httpx.Response(status, text=text, headers={"retry-after": retry_after})


class Service:
    """Gives `replies` in turn; keeps what it was sent and how long the client paused."""

    def __init__(self, kind: Kind, *replies: Reply) -> None:
        self._kind = kind
        self._replies = list(replies)
        self.requests: list[httpx.Request] = []
        self.bodies: list[bytes] = []
        self.pauses: list[float] = []

    def _respond(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.bodies.append(request.content)
        reply = self._replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)

    def remove(
        self, image: Any, retries: Retries | None = None, key: str = "", **arguments: Any
    ) -> Result:
        """Call the client of this kind."""
        transport = httpx.MockTransport(self._respond)
        if self._kind == "blocking":
            with Client(
                "http://test/prefix/",
                key,
                retries=retries,
                transport=transport,
                sleep=self.pauses.append,
            ) as client:
                return client.remove(image, **arguments)

        async def pause(seconds: float) -> None:
            self.pauses.append(seconds)

        async def remove() -> Result:
            async with AsyncClient(
                "http://test/prefix/", key, retries=retries, transport=transport, sleep=pause
            ) as client:
                return await client.remove(image, **arguments)

        return asyncio.run(remove())


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.0)


@pytest.fixture(params=get_args(Kind))
def kind(request: pytest.FixtureRequest) -> Kind:
    return cast("Kind", request.param)


def test_a_request_says_what_was_asked_for(kind: Kind) -> None:
    told = {
        "x-rmbg-box": "1,2,3,4",
        "x-rmbg-confidence": "0.97",
        "x-rmbg-model": "mod%C3%A8le",
        "x-request-id": "mine",
    }
    service = Service(kind, cutout(**told))
    result = service.remove(b"photo", key="sesame", request_id="mine", crop=True, margin="5%")
    assert result == Result(b"cutout", "image/png", Box(1, 2, 4, 6), 0.97, "modèle", "mine")
    (request,) = service.requests
    assert request.url.path == "/prefix/api/remove-bg"
    assert dict(request.url.params) == {"crop": "true", "margin": "5%", "format": "png"}
    assert request.headers["x-api-key"] == "sesame"
    assert request.headers["x-request-id"] == "mine"
    assert request.content == b"photo"


def test_a_file_is_streamed_and_read_again_for_another_attempt(kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(bytes(300_000))
    for image in (path, str(path)):
        service = Service(kind, problem(503), cutout())
        service.remove(image)
        assert service.bodies == [bytes(300_000)] * 2
        assert {request.headers["content-length"] for request in service.requests} == {"300000"}
        assert len({request.headers["x-request-id"] for request in service.requests}) == 1


def test_an_open_file_is_sent_from_where_it_is(kind: Kind) -> None:
    class Pipe(BytesIO):
        def seekable(self) -> bool:
            return False

    for file in (BytesIO(b"headphoto"), Pipe(b"headphoto")):
        file.read(4)
        service = Service(kind, problem(429), cutout())
        service.remove(file)
        assert service.bodies == [b"photo"] * 2


def test_a_large_file_is_never_in_memory_as_a_whole(kind: Kind) -> None:
    class Endless(BytesIO):
        longest = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.longest = max(self.longest, size or 0)
            assert size is not None
            assert size > 0
            return super().read(size)

    file = Endless(bytes(1_000_000))
    service = Service(kind, cutout())
    service.remove(cast("BinaryIO", file))
    assert len(service.bodies[0]) == 1_000_000
    assert file.longest <= 65_536


def test_a_background_image_goes_along_as_a_form(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "beach.jpg").write_bytes(b"beach")
    service = Service(kind, problem(503), cutout())
    service.remove(BytesIO(b"photo"), background_image=tmp_path / "beach.jpg")
    for request, body in zip(service.requests, service.bodies, strict=True):
        assert request.headers["content-type"].startswith("multipart/form-data")
        assert b"beach" in body
        assert b"photo" in body


class WatchedFile(BytesIO):
    """A file that knows which threads have read it."""

    readers: ClassVar[set[str]] = set()

    def read(self, size: int | None = -1) -> bytes:
        self.readers.add(threading.current_thread().name)
        return super().read(size)


def test_the_asynchronous_client_reads_files_in_threads() -> None:
    photo, beach = WatchedFile(b"photo"), WatchedFile(b"beach")
    Service("asyncio", cutout()).remove(photo, background_image=beach)
    assert WatchedFile.readers
    assert threading.main_thread().name not in WatchedFile.readers


def test_a_busy_service_says_when_to_come_back(kind: Kind) -> None:
    service = Service(kind, *[problem(429, retry_after=str(s)) for s in (1, 20, 7)], cutout())
    assert service.remove(b"photo").data == b"cutout"
    assert service.pauses == [1, 20, 7]


def test_a_restart_is_waited_for(kind: Kind) -> None:
    service = Service(
        kind,
        httpx.ReadError("reset"),
        httpx.ConnectError("refused"),
        problem(503, retry_after="10"),
        problem(503, retry_after="soon"),
        problem(429, retry_after="3"),
        problem(504),
        cutout(),
    )
    assert service.remove(b"photo").data == b"cutout"
    assert service.pauses == [1, 2, 10, 8, 3, 1]


def test_a_long_outage_is_waited_for_if_the_caller_says_so() -> None:
    service = Service("blocking", *[httpx.ConnectError("refused")] * 1100, cutout())
    assert service.remove(b"photo", Retries(unavailable_s=math.inf)).data == b"cutout"
    assert service.pauses[-1] == 60


@pytest.mark.parametrize(
    "reply",
    [
        problem(503, retry_after="9" * 5000),
        problem(503, retry_after="Fri, 27 Nov 2026 07:00:00 GMT"),
        httpx.DecodingError("the gzip stream ends early"),
    ],
)
def test_nonsense_of_a_proxy_is_waited_for(kind: Kind, reply: Reply) -> None:
    service = Service(kind, reply, cutout())
    assert service.remove(b"photo").data == b"cutout"
    assert service.pauses == [1]


def test_pauses_are_longer_by_chance(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 1.0)
    service = Service(kind, problem(429, retry_after="8"), problem(503), cutout())
    service.remove(b"photo")
    assert service.pauses == [10, 1.25]


def test_the_budgets_end_a_call(kind: Kind) -> None:
    gone = [httpx.ConnectError("refused")] * 9
    service = Service(kind, *gone)
    with pytest.raises(ServiceUnavailable, match="8 attempts: no response: refused") as caught:
        service.remove(b"photo", Retries(unavailable_s=180))
    assert service.pauses == [1, 2, 4, 8, 16, 32, 60]
    assert not caught.value.busy

    service = Service(kind, *[problem(429, "too many", retry_after="30")] * 3)
    with pytest.raises(ServiceUnavailable, match="3 attempts: too many") as caught:
        service.remove(b"photo", Retries(busy_s=60), request_id="mine")
    assert caught.value.busy
    assert (caught.value.retry_after_s, caught.value.request_id) == (30, "mine")

    service = Service(kind, problem(503, "loading"))
    with pytest.raises(ServiceUnavailable, match="one attempt: loading"):
        service.remove(b"photo", Retries(0, 0))


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (problem(422, "the png file cannot be decoded"), "cannot be decoded"),
        (problem(500, "the model failed"), "the model failed"),
        (httpx.Response(200, html="<html>Log in"), "expected an image, got 'text/html'"),
        (httpx.Response(200, content=b"", headers=PNG), "got nothing"),
        (httpx.Response(413, text="<html>nginx"), "responded with 413"),
        (httpx.Response(400, json=["odd"]), "responded with 400"),
        (httpx.LocalProtocolError("too little data"), "cannot be sent: too little data"),
    ],
)
def test_a_refusal_is_not_tried_again(kind: Kind, reply: Reply, says: str) -> None:
    service = Service(kind, reply)
    with pytest.raises(ServiceError, match=says) as caught:
        service.remove(b"photo", request_id="mine")
    assert not isinstance(caught.value, ServiceUnavailable)
    assert caught.value.request_id == "mine"
    assert service.pauses == []


def test_a_refusal_names_its_kind(kind: Kind) -> None:
    with pytest.raises(ServiceError) as caught:
        Service(kind, problem(422)).remove(b"photo")
    assert (caught.value.status_code, caught.value.problem) == (422, "some-problem")


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://x:port", ""),
        ("http://x:99999", ""),
        ("http://", ""),
        ("localhost:7860", ""),
        ("http://x", "schlüssel"),
        ("http://x", "secret\n"),
        ("http://x", " secret"),
        ("http://x", "sec\0ret"),
    ],
)
def test_a_url_or_key_that_cannot_be_sent(url: str, key: str) -> None:
    for client in (Client, AsyncClient):
        with pytest.raises(ConfigurationError) as caught:
            client(url, key)
        assert not key or key not in str(caught.value)


def test_what_is_not_the_service_has_no_info() -> None:
    for reply, says in [
        (httpx.Response(404), "responded with 404"),
        (httpx.Response(200, json={"name": "something else"}), "the facts about an rmbg-service"),
    ]:
        transport = httpx.MockTransport(lambda _, reply=reply: reply)
        client = Client("http://test", transport=transport)
        with client, pytest.raises(ServiceError, match=says):
            client.info()


def test_the_options_are_those_of_a_removal() -> None:
    fields = RemovalOptions.model_fields
    assert get_type_hints(Options).keys() == fields.keys()
    for name, hint in get_type_hints(Options).items():
        if get_args(hint):
            assert {*get_args(hint)} == {*get_args(fields[name].annotation)}


async def test_both_clients_of_a_real_service_get_every_cutout(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(picture_bytes((200, 100)))
    predictor = FakePredictor(gated=True)
    with running_server(predictor, max_inflight_jobs=2, api_keys="sesame") as url:
        refused = asyncio.Event()
        loop = asyncio.get_running_loop()

        async def pause(_: float) -> None:
            refused.set()
            await asyncio.sleep(0)

        def blocking_pause(_: float) -> None:
            loop.call_soon_threadsafe(refused.set)
            predictor.gate.wait(60)

        def blocking() -> Result:
            with Client(url, "sesame", sleep=blocking_pause) as client:
                assert client.info().limits.max_inflight_jobs == 2
                return client.remove(path, crop=True)

        async with AsyncClient(url, "sesame", sleep=pause) as client:
            running = [
                asyncio.create_task(client.remove(path, crop=True, request_id=f"a{number}"))
                for number in range(4)
            ]
            thread = asyncio.create_task(asyncio.to_thread(blocking))
            await refused.wait()
            threading.Timer(0, predictor.gate.set).start()
            results = [*await asyncio.gather(*running), await thread]
        with Client(url, "wrong") as client_without:
            with pytest.raises(ServiceError, match="API key") as caught:
                client_without.remove(path)
            assert caught.value.status_code == 401
    assert {result.data for result in results} == {results[0].data}
    assert [result.request_id for result in results[:4]] == ["a0", "a1", "a2", "a3"]
    assert {result.model for result in results} == {"fake"}
    assert results[0].box is not None
