import asyncio
import gc
import json
import logging
import tracemalloc
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from rmbg_service.api.app import create_app
from rmbg_service.api.guard import GuardedRoutes
from rmbg_service.removal.result import Encoded
from rmbg_service.serving.pacer import Pacer
from rmbg_service.settings import Settings
from tests.fakes import PATH, FakePredictor, RawRequest, picture_bytes, serving, uncollected, until
from tests.server import running_server, wait_until

PNG = picture_bytes()
PNG_HEADERS = {"content-type": "image/png"}


@pytest.mark.parametrize(
    ("headers", "status", "says"),
    [
        ({}, 401, "an API key is required"),
        ({"x-api-key": "wrong"}, 401, "the API key is unknown"),
        ({"authorization": "Bearer wrong"}, 401, "the API key is unknown"),
        ({"authorization": "Basic two"}, 401, "an API key is required"),
        ({"x-api-key": "one"}, 200, ""),
        ({"authorization": "Bearer two"}, 200, ""),
    ],
)
async def test_keys_are_asked_for_when_there_are_any(
    headers: dict[str, str], status: int, says: str
) -> None:
    async with serving(api_keys="one,two") as (client, _):
        answer = await client.post(PATH, content=PNG, headers=PNG_HEADERS | headers)
        assert answer.status_code == status
        if status == 401:
            assert answer.headers["www-authenticate"] == "Bearer"
            assert says in answer.json()["detail"]
        for path in ("/livez", "/readyz", "/health", "/metrics", "/api/info"):
            assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize("path", [PATH, "/v1.0/removebg", "/v1.0/account"])
async def test_a_control_character_does_not_lead_around_the_gate(path: str) -> None:
    """Starlette's routes would match before a final line feed."""
    method = "GET" if path.endswith("account") else "POST"
    async with serving(api_keys="one") as (client, engine):
        for tail in ("%0A", "%0a", "%0D", "%00"):
            answer = await client.request(method, path + tail, content=b"x" * 100)
            assert answer.status_code == 404
            assert answer.json().keys() >= ({"type"} if path == PATH else {"errors"})
        app = client.app
        request = RawRequest(app, path=path + "\n", method=method)
        await request.start()
        assert (request.status, request.receive_calls) == (404, 0)
        assert engine.budget.jobs == 0


async def test_a_route_that_the_gate_does_not_guard_stays_shut() -> None:
    async with serving() as (client, _):
        app = client.app
        app.user_middleware[0].kwargs["guarded_routes"] = GuardedRoutes([])
        for path in (PATH, "/v1.0/removebg"):
            answer = await client.post(path, content=PNG, headers=PNG_HEADERS)
            assert answer.status_code == 500


async def test_a_wrong_key_is_refused_before_the_body_is_read() -> None:
    async with serving(api_keys="one") as (client, engine):
        request = RawRequest(client.app)
        await request.start()
        assert (request.status, request.receive_calls) == (401, 0)
        assert engine.budget.jobs == 0


@pytest.mark.parametrize("announced", ["1001", "9999999999999999"])
async def test_a_body_that_announces_too_many_bytes_is_refused_unread(announced: str) -> None:
    async with serving(max_body_bytes=1000) as (client, _):
        headers = PNG_HEADERS | {"content-length": announced}
        request = RawRequest(client.app, headers)
        await request.start()
        assert (request.status, request.receive_calls) == (413, 0)
        assert request.headers["connection"] == "close"


async def test_a_body_without_an_end_is_cut_off_at_the_limit() -> None:
    async with serving(max_body_bytes=1000) as (client, engine):
        request = RawRequest(
            client.app,
            PNG_HEADERS | {"transfer-encoding": "chunked"},
        )
        task = request.start()
        for _ in range(3):
            request.send_body(b"x" * 400, more=True)
        await task
        assert (request.status, request.receive_calls) == (413, 3)
        assert engine.budget.jobs == 0


@pytest.mark.parametrize("first", [b"", PNG[:100]])
async def test_an_upload_that_stalls_is_closed_and_holds_no_job(first: bytes) -> None:
    async with serving(client_idle_timeout_s=0.05) as (client, engine):
        request = RawRequest(client.app)
        task = request.start()
        if first:
            request.send_body(first, more=True)
        await task
        assert request.status == 408
        assert request.headers["connection"] == "close"
        assert engine.budget.jobs == 0


async def test_an_upload_that_trickles_is_closed_when_its_whole_time_is_over() -> None:
    async with serving(client_idle_timeout_s=0.2, upload_timeout_s=0.3) as (client, engine):
        request = RawRequest(client.app)
        task = request.start()
        while not task.done():
            request.send_body(b"x", more=True)
            await asyncio.sleep(0.02)
        assert request.status == 408
        assert engine.budget.jobs == 0


async def test_a_reader_that_stops_reading_loses_its_connection_and_its_place() -> None:
    async with serving(client_idle_timeout_s=0.05) as (client, engine):
        request = RawRequest(client.app)
        stopped = asyncio.Event()

        async def send(message: object) -> None:
            await stopped.wait()

        request._send = send  # type: ignore[method-assign]
        task = request.start()
        request.send_body(PNG)
        await task
        await until(lambda: engine.budget.jobs == 0)


async def test_a_client_that_leaves_during_its_upload_is_counted_and_holds_nothing() -> None:
    async with serving() as (client, engine):
        request = RawRequest(client.app)
        task = request.start()
        request.send_body(PNG[:50], more=True)
        request.leave()
        await task
        assert request.sent == []
        assert engine.budget.jobs == 0
        assert 'outcome="cancelled"} 1.0' in (await client.get("/metrics")).text


async def test_while_the_model_loads_requests_get_503_and_live_is_live() -> None:
    predictor = FakePredictor(gated=True)
    predictor.load = lambda: predictor.gate.wait(60) and None  # type: ignore[method-assign, assignment]
    app = create_app(Settings(), predictor)
    async with app.router.lifespan_context(app):
        request = RawRequest(app)
        await request.start()
        assert (request.status, request.receive_calls) == (503, 0)
        assert int(request.headers["retry-after"]) >= 1
        assert app.state.engine.alive
        predictor.gate.set()


@pytest.mark.parametrize(
    ("proposed", "kept"), [("order-17_b", True), ("a" * 65, False), ("semi;colon", False)]
)
async def test_a_safe_request_id_is_kept_and_any_other_replaced(proposed: str, kept: bool) -> None:
    async with serving() as (client, _):
        answer = await client.get("/livez", headers={"x-request-id": proposed})
        assert (answer.headers["x-request-id"] == proposed) is kept


async def test_one_log_line_a_request_without_keys_or_names(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "rmbg_service.request")
    async with serving(api_keys="sesame") as (client, _):
        await client.post(
            PATH,
            files={"image": ("grandmother.png", PNG)},
            headers={"x-api-key": "sesame", "x-request-id": "r1"},
        )
        await client.get("/livez")
    (line,) = [record for record in caplog.records if record.name == "rmbg_service.request"]
    fields = line.fields  # type: ignore[attr-defined]
    assert fields["request_id"] == "r1"
    assert (fields["status"], fields["outcome"]) == (200, "ok")
    assert (fields["format"], fields["width"], fields["height"]) == ("png", 64, 48)
    assert {"read_ms", "decode_ms", "predict_ms", "encode_ms"} <= fields.keys()
    assert "grandmother" not in json.dumps(fields)
    assert "sesame" not in json.dumps(fields)


async def test_a_bug_is_answered_500_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError("the secret of the house")

    monkeypatch.setattr("rmbg_service.api.native.routes.run_job", bug)
    async with serving() as (client, engine):
        answer = await client.post(PATH, content=PNG, headers=PNG_HEADERS)
        assert answer.status_code == 500
        assert answer.json()["type"] == "internal-error"
        assert "secret" not in answer.text
        assert engine.budget.jobs == 0


async def test_other_origins_are_let_in_only_when_listed() -> None:
    ask = {"origin": "https://shop.example", "access-control-request-method": "POST"}
    async with serving() as (client, _):
        answer = await client.options(PATH, headers=ask)
        assert "access-control-allow-origin" not in answer.headers
    listed: dict[str, Any] = {"cors_origins": "https://shop.example", "max_inflight_jobs": 1}
    async with serving(**listed) as (client, engine):
        answer = await client.options(PATH, headers=ask)
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        engine.budget.reserve(1e9)
        refused = await client.post(PATH, content=PNG, headers=PNG_HEADERS | ask)
        assert refused.status_code == 429
        assert refused.headers["access-control-allow-origin"] == "https://shop.example"
        assert refused.headers["access-control-expose-headers"] == "*"


async def test_a_request_cut_off_by_the_server_s_end_is_told_so() -> None:
    async with serving() as (client, engine):
        request = RawRequest(client.app)
        task = request.start()
        request.send_body(PNG[:50], more=True)
        await until(lambda: engine.budget.jobs == 1)
        engine.drain()
        task.cancel()
        await task
        assert request.status == 503
        assert engine.budget.jobs == 0
        assert 'outcome="cancelled"} 1.0' in (await client.get("/metrics")).text


async def test_a_prefix_does_not_lead_around_the_gate() -> None:
    async with serving(api_keys="one") as (client, _):
        app = FastAPI()
        app.mount("/tools", client.app)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://test"
        ) as outer:
            answer = await outer.post("/tools" + PATH, content=PNG, headers=PNG_HEADERS)
            assert answer.status_code == 401


def test_every_route_that_asks_for_a_key_in_the_document_is_guarded() -> None:
    app = create_app(Settings(), FakePredictor())
    routes: GuardedRoutes = app.user_middleware[0].kwargs["guarded_routes"]  # type: ignore[assignment]
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            scope = {"type": "http", "method": method.upper(), "path": path}
            assert (routes.find(scope) is not None) is ("security" in operation), path


HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", PATH),
        ("GET", PATH),
        ("POST", "/v1.0/removebg"),
        ("GET", "/v1.0/account"),
        ("GET", "/v1.0/nothing"),
        ("GET", "/api/jobs/none"),
        ("GET", "/api/info"),
        ("GET", "/livez"),
        ("HEAD", "/readyz"),
        ("GET", "/health"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
        ("GET", "/nothing"),
        ("GET", "/nothing%00"),
    ],
)
async def test_no_response_is_stored_or_sniffed(method: str, path: str) -> None:
    async with serving(api_keys="one") as (client, _):
        for key in ({}, {"x-api-key": "one"}):
            answer = await client.request(method, path, content=PNG, headers=PNG_HEADERS | key)
            assert HEADERS.items() <= answer.headers.items()
            assert len(answer.headers.get_list("cache-control")) == 1


async def test_endpoints_are_open_unless_they_are_closed() -> None:
    closable = ("/metrics", "/api/info", "/docs", "/openapi.json")
    async with serving(api_keys="one", open_endpoints="none") as (client, _):
        for path in closable:
            refused = await client.get(path)
            assert (refused.status_code, refused.json()["type"]) == (401, "unauthorized")
            assert (await client.get(path, headers={"x-api-key": "one"})).status_code == 200
        for path in ("/livez", "/readyz"):
            assert (await client.get(path)).json() == {"status": "ready", "detail": ""}
        assert (await client.get("/health")).json() == {"status": "ready"}
        whole = await client.get("/health", headers={"x-api-key": "one"})
        assert {"model", "queue", "version"} <= whole.json().keys()
        assert (await client.get("/metrics")).status_code == 401
    async with serving(api_keys="one", open_endpoints="metrics, docs") as (client, _):
        statuses = [(await client.get(path)).status_code for path in closable]
        assert statuses == [200, 401, 200, 200]


@pytest.mark.parametrize("host", ["[", "a b", "\xe9", "x" * 10_000, ""])
async def test_an_odd_host_is_no_bug(host: str) -> None:
    async with serving() as (client, _):
        for path, status in (("/nothing", 404), ("/livez", 200), ("/openapi.json", 200)):
            answer = await client.get(path, headers=[(b"host", host.encode("latin-1"))])
            assert answer.status_code == status


@pytest.mark.parametrize("path", [PATH, "/docs", "/livez", "/v1.0/account"])
async def test_a_query_has_at_most_100_fields(path: str) -> None:
    async with serving() as (client, _):
        answer = await client.get(f"{path}?{'a&' * 99}")
        assert answer.status_code == (405 if path == PATH else 200)
        assert (await client.get(f"{path}?{'a&' * 100}")).status_code == 400


class Pause:
    """Sleeps until `over` is set, once `armed`."""

    def __init__(self) -> None:
        self.armed = False
        self.waiting = 0
        self.over = asyncio.Event()

    async def __call__(self, _: float) -> None:
        if self.armed:
            self.waiting += 1
            await self.over.wait()


async def test_a_refusal_that_waits_its_turn_holds_neither_its_body_nor_a_place() -> None:
    async with serving() as (client, engine):
        pause = Pause()
        engine.pacer = Pacer(engine.share, pause)
        engine.share.expect("192.0.2.1", 600)
        engine.share.charge("127.0.0.1", 1.0)
        request = RawRequest(client.app, PNG_HEADERS)
        task = request.start()
        await until(lambda: engine.budget.jobs == 1)
        pause.armed = True
        tracemalloc.start()
        try:
            for _ in range(8):
                request.send_body(bytes(100_000), more=True)
            request.send_body(b"")
            await until(lambda: pause.waiting == 1)
            pause.armed = False
            pause.over.set()
            pause.over = asyncio.Event()
            pause.armed = True
            await until(lambda: pause.waiting == 2)
            assert tracemalloc.get_traced_memory()[0] < 400_000
        finally:
            tracemalloc.stop()
        assert engine.budget.jobs == 0
        assert request.status is None
        pause.over.set()
        await task
        assert request.status == 422


async def test_clients_are_told_apart_by_key_or_address() -> None:
    for keys, expected in ((None, "127.0.0.1"), ("one,two", "key 1")):
        async with serving(api_keys=keys or ()) as (client, engine):
            engine.share._clock = lambda: 0.0
            headers = PNG_HEADERS | {"x-api-key": "two"}
            assert (await client.post(PATH, content=PNG, headers=headers)).status_code == 200
            before = engine.share.used_s(expected)
            assert before > 0
            refused = await client.post(PATH, content=b"no image", headers=headers)
            assert refused.status_code == 422
            assert engine.share.used_s(expected) > before + 0.2


async def test_slow_bodies_of_one_client_do_not_keep_others_out() -> None:
    async with serving(max_inflight_jobs=3) as (client, engine):
        slow = [RawRequest(client.app) for _ in range(3)]
        tasks = [request.start() for request in slow]
        slow[0].send_body(PNG[:10], more=True)
        await until(lambda: engine.budget.jobs == 3)
        transport = httpx.ASGITransport(client.app, client=("192.0.2.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as other:
            answer = await other.post(PATH, content=PNG, headers=PNG_HEADERS)
        assert answer.status_code == 200
        await until(lambda: any(request.status for request in slow))
        (revoked,) = [request for request in slow if request.status]
        assert revoked.status == 429
        assert revoked.headers["connection"] == "close"
        assert int(revoked.headers["retry-after"]) >= 1
        assert engine.budget.jobs == 2
        for request in slow:
            request.leave()
        await asyncio.gather(*tasks)
        assert engine.budget.jobs == 0


@pytest.mark.parametrize(
    ("path", "field"),
    [("/api/remove-bg", "image"), ("/v1.0/removebg", "image_file"), ("/api/remove", "file")],
)
def test_a_closed_connection_keeps_no_result(path: str, field: str) -> None:
    def results() -> list[object]:
        return [each for each in gc.get_objects() if isinstance(each, Encoded)]

    with uncollected(), running_server(FakePredictor()) as url:
        before = results()
        files = {field: picture_bytes()}
        assert httpx.post(url + path, files=files, headers={"X-API-Key": "x"}).status_code == 200
        wait_until(lambda: len(results()) <= len(before))
