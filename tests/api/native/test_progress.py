import asyncio
import logging

import pytest

from tests.fakes import PATH, FakePredictor, RawRequest, picture_bytes, serving, until

PNG = picture_bytes()


def headers(request_id: str) -> dict[str, str]:
    return {"content-type": "image/png", "x-request-id": request_id}


async def test_a_request_tells_its_stage_and_its_place_to_whoever_knows_its_id() -> None:
    predictor = FakePredictor(gated=True)
    async with serving(predictor, codec_threads=1, api_keys="secret") as (client, engine):
        key = {"x-api-key": "secret"}
        running = []
        for place in range(4):
            request = client.post(PATH, content=PNG, headers=headers(f"job-{place}") | key)
            running.append(asyncio.create_task(request))
            await until(lambda wanted=place + 1: len(engine._jobs) == wanted)  # type: ignore[misc]
        await predictor.wait_until_entered()
        await until(lambda: engine.worker.queue_depth() == 1)
        # Two pictures are decoded at a time: the third and fourth wait for a slot.
        for place, stage in enumerate(["predict", "queue", "queue", "queue"]):
            answer = await client.get(f"/api/jobs/job-{place}")  # without the key
            assert answer.json() == {"stage": stage, "ahead": place}
            assert answer.headers["cache-control"] == "no-store"
        predictor.gate.set()
        await asyncio.gather(*running)
        for place in range(4):
            assert (await client.get(f"/api/jobs/job-{place}")).status_code == 404


async def test_a_request_that_is_still_coming_in_is_in_the_stage_read() -> None:
    async with serving() as (client, _):
        request = RawRequest(client.app, headers("slow"))
        task = request.start()
        request.send_body(PNG[:50], more=True)
        await until(lambda: request.receive_calls == 2)
        answer = await client.get("/api/jobs/slow")
        assert answer.json() == {"stage": "read", "ahead": 0}
        request.leave()
        await task
        assert (await client.get("/api/jobs/slow")).status_code == 404


async def test_an_unknown_id_is_a_problem_and_a_refused_request_is_unknown() -> None:
    predictor = FakePredictor(gated=True)
    async with serving(predictor, max_inflight_jobs=1) as (client, _):
        running = asyncio.create_task(client.post(PATH, content=PNG, headers=headers("in")))
        await predictor.wait_until_entered()
        refused = await client.post(PATH, content=PNG, headers=headers("out"))
        assert refused.status_code == 429
        answer = await client.get("/api/jobs/out")
        assert (answer.status_code, answer.json()["type"]) == (404, "not-found")
        predictor.gate.set()
        await running


async def test_of_two_requests_with_one_id_the_later_is_told_of() -> None:
    predictor = FakePredictor(gated=True)
    async with serving(predictor) as (client, engine):
        first = asyncio.create_task(client.post(PATH, content=PNG, headers=headers("same")))
        await predictor.wait_until_entered()
        second = asyncio.create_task(client.post(PATH, content=PNG, headers=headers("same")))
        await until(lambda: engine.worker.queue_depth() == 1)
        assert (await client.get("/api/jobs/same")).json() == {"stage": "queue", "ahead": 1}
        predictor.gate.set()
        await asyncio.gather(first, second)
        assert (await client.get("/api/jobs/same")).status_code == 404


async def test_polling_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as (client, _):
        with caplog.at_level(logging.INFO, "rmbg_service.request"):
            await client.get("/api/jobs/none")
            await client.get("/static/app.js")
            assert caplog.records == []
            await client.get("/api/info")
            assert len(caplog.records) == 1
