"""Deadlines, work that nobody waits for any more, and what counts for the rate limit."""

import asyncio
import base64
import gc
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from rmbg_service.errors import InferenceError, InvalidImage
from rmbg_service.imaging.source import ImageInfo
from rmbg_service.serving.fair_share import Visit
from rmbg_service.url_fetch import Fetcher
from tests.fakes import PATH as NATIVE
from tests.fakes import FakePredictor, RawRequest, picture_bytes, serving, until

REMOVEBG = "/v1.0/removebg"
PNG = picture_bytes()
TWO_MEGAPIXELS = picture_bytes((2000, 1000), "JPEG")


class SlowFetcher(Fetcher):
    """Gives a picture, but not before `there` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.there = asyncio.Event()
        self.cancelled = False
        self.asked_at = 0.0

    async def fetch(self, url: str, max_bytes: int, client: str = "") -> bytes:
        self.asked_at = time.monotonic()
        try:
            await self.there.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return PNG


@pytest.mark.parametrize(
    ("settings", "headers"),
    [({"request_timeout_s": 0.05}, {}), ({}, {"Prefer": "wait=1"})],
)
async def test_a_picture_that_is_fetched_too_slowly(
    settings: dict[str, Any], headers: dict[str, str]
) -> None:
    fetcher = SlowFetcher()
    async with serving(fetcher=fetcher, **settings) as (client, engine):
        fields = {"image_url": "http://a.example/"}
        answer = await client.post(REMOVEBG, data=fields, headers=headers)
        assert answer.status_code == 504
        assert "not finished within" in answer.json()["errors"][0]["detail"]
        await until(lambda: fetcher.cancelled)
        assert engine.budget.jobs == 0


class SlowHost(Fetcher):
    """Fetches two pictures at once; those of the host `slow` come when `there` is set."""

    def __init__(self) -> None:
        super().__init__(max_at_once=2)
        self.there = asyncio.Event()
        self.begun = 0

    async def _get(self, url: str, max_bytes: int) -> bytes:
        self.begun += 1
        if url == "http://slow/":
            await self.there.wait()
        return PNG


@pytest.mark.parametrize(
    ("key", "status", "slow_ones"), [("two", 200, [200, 429]), ("one", 429, [200, 200])]
)
async def test_a_client_with_slow_hosts_leaves_room_for_others(
    key: str, status: int, slow_ones: list[int]
) -> None:
    fetcher = SlowHost()
    async with serving(fetcher=fetcher, api_keys="one,two") as (client, _):

        async def post(key: str, url: str) -> int:
            fields, headers = {"image_url": url}, {"X-Api-Key": key}
            return (await client.post(REMOVEBG, data=fields, headers=headers)).status_code

        slow = [asyncio.create_task(post("one", "http://slow/")) for _ in range(2)]
        await until(lambda: fetcher.begun == 2)
        assert await post(key, "http://fast/") == status
        fetcher.there.set()
        assert sorted(await asyncio.gather(*slow)) == slow_ones


async def test_the_deadline_runs_from_the_last_byte_of_the_body() -> None:
    fetcher, predictor = SlowFetcher(), FakePredictor(gated=True)
    async with serving(predictor, fetcher) as (client, engine):
        posting = asyncio.create_task(client.post(REMOVEBG, data={"image_url": "http://a/"}))
        await until(lambda: fetcher.asked_at > 0)
        fetcher.there.set()
        await predictor.wait_until_entered()
        (job,) = engine._jobs.values()
        assert job.deadline <= fetcher.asked_at + engine.settings.request_timeout_s
        predictor.gate.set()
        assert (await posting).status_code == 200


async def test_an_error_that_nobody_waits_for_is_not_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    at_work, may_fail = asyncio.Event(), asyncio.Event()

    async def probe(data: bytes, visit: Visit) -> ImageInfo:
        at_work.set()
        await may_fail.wait()
        raise InvalidImage("the image has no pixels")

    async with serving() as (client, engine):
        engine.probe = probe  # type: ignore[method-assign]
        request = RawRequest(client.app)
        running = request.start()
        request.send_body(PNG)
        await at_work.wait()
        request.leave()
        await running
        assert (request.status, engine.budget.jobs) == (None, 1)
        may_fail.set()
        await until(lambda: engine.budget.jobs == 0)
        gc.collect()
    assert "never retrieved" not in caplog.text


@asynccontextmanager
async def limited(
    predictor: FakePredictor | None = None, **settings: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, Callable[[], int]]]:
    """A service with a rate limit of 60 whose clock stands still, and how many are left."""
    async with serving(predictor, rate_limit_megapixels_per_minute=60, **settings) as (client, e):
        e.rate_limit._clock = lambda: 0.0

        def left() -> int:
            allowance = e.rate_limit.allowance(0)
            assert allowance is not None
            return allowance.remaining

        yield client, left


async def test_a_background_counts_like_the_picture() -> None:
    two = ("a.jpg", TWO_MEGAPIXELS)
    text = base64.b64encode(TWO_MEGAPIXELS).decode()
    async with limited() as (client, left):
        answer = await client.post(REMOVEBG, files={"image_file": two, "bg_image_file": two})
        assert (answer.status_code, left()) == (200, 56)
        body = {"image": text, "background_image": text}
        assert (await client.post(NATIVE, json=body)).status_code == 200
        assert left() == 52


@pytest.mark.parametrize("error", [InferenceError("NaN"), KeyError("a bug")])
async def test_what_the_service_fails_on_is_given_back(error: Exception) -> None:
    predictor = FakePredictor([error])
    async with limited(predictor) as (client, left):
        answer = await client.post(REMOVEBG, files={"image_file": ("a.jpg", TWO_MEGAPIXELS)})
        assert (answer.status_code, left()) == (500, 60)


@pytest.mark.parametrize(
    ("timeout_s", "headers", "counts"),
    [(0.05, {}, False), (0.05, {"Prefer": "wait=60"}, False), (30, {"Prefer": "wait=1"}, True)],
)
async def test_a_deadline_counts_only_where_it_is_the_client_s_own(
    timeout_s: float, headers: dict[str, str], counts: bool
) -> None:
    predictor = FakePredictor(gated=True)
    async with limited(predictor, request_timeout_s=timeout_s) as (client, left):
        upload = {"image_file": ("a.jpg", TWO_MEGAPIXELS)}
        answer = await client.post(REMOVEBG, files=upload, headers=headers)
        assert (answer.status_code, left()) == (504, 58 if counts else 60)


async def test_a_client_s_own_error_counts() -> None:
    broken = TWO_MEGAPIXELS[: len(TWO_MEGAPIXELS) // 2]
    async with limited() as (client, left):
        answer = await client.post(REMOVEBG, files={"image_file": broken})
        assert (answer.status_code, left()) == (400, 58)
