"""The system's clock jumps, or the process is suspended: only time that it runs counts."""

import asyncio
import time

import pytest

from tests.fakes import PATH, FakePredictor, picture_bytes, serving, until

HEADERS = {"content-type": "image/png"}


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_jump_of_the_clock_changes_no_deadline_and_no_limit(
    monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    predictor = FakePredictor(gated=True)
    real = time.time  # noqa: TID251 - the clock that jumps
    async with serving(predictor, api_keys="sesame", rate_limit_megapixels_per_minute=2) as (
        client,
        engine,
    ):
        client.headers["X-API-Key"] = "sesame"
        post = asyncio.create_task(client.post(PATH, content=picture_bytes(), headers=HEADERS))
        await predictor.wait_until_entered()
        monkeypatch.setattr(time, "time", lambda: real() + hours * 3600)
        predictor.gate.set()
        assert (await post).status_code == 200
        answers = [
            (await client.post(PATH, content=picture_bytes(), headers=HEADERS)).status_code
            for _ in range(2)
        ]
        assert answers == [200, 429]  # the minute of the limit has not passed
        assert engine.idle


async def test_a_suspended_process_does_not_take_its_prediction_for_stuck(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    predictor = FakePredictor(gated=True)
    loop = asyncio.get_running_loop()
    real = loop.time
    async with serving(predictor, request_timeout_s=10_000) as (client, engine):
        post = asyncio.create_task(client.post(PATH, content=picture_bytes(), headers=HEADERS))
        await predictor.wait_until_entered()
        suspended_s = engine.settings.predict_timeout_s + 1
        monkeypatch.setattr(loop, "time", lambda: real() + suspended_s)
        ticks: list[float] = []
        loop.call_later(0, ticks.append, loop.time())
        await until(lambda: bool(ticks))
        predictor.gate.set()
        assert (await post).status_code == 200
        assert engine.alive
