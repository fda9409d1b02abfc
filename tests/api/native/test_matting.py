"""`detail=matting` through the service, with networks that are fakes."""

import asyncio
from io import BytesIO

import httpx
import numpy as np
import pytest
from PIL import Image

from rmbg_service.errors import InferenceError, OutOfDeviceMemory
from rmbg_service.models.with_matting import PredictorWithMatting
from rmbg_service.serving.state import State
from tests.fakes import PATH, AppClient, FakeMatting, FakePredictor, picture_bytes, serving

IMAGE = picture_bytes((800, 400))
SMALL = picture_bytes((64, 48))


async def post(client: AppClient, query: str = "detail=matting", **headers: str) -> httpx.Response:
    kinds = {"content-type": "image/png", "accept": "image/png"}
    return await client.post(f"{PATH}?output=matte&{query}", content=IMAGE, headers=kinds | headers)


async def test_without_a_matting_model_the_response_says_how_to_switch_it_on() -> None:
    predictor = FakePredictor()
    async with serving(predictor) as (client, _):
        refused = await post(client)
        assert (refused.status_code, refused.json()["type"]) == (422, "no-matting-model")
        assert "RMBG_MATTING_MODEL=vitmatte-small-composition-1k" in refused.json()["detail"]
        chinese = await post(client, **{"accept-language": "zh-CN"})
        assert "启用" in chinese.json()["detail"]
        assert predictor.predicted == []
        assert (await post(client, "detail=auto")).status_code == 200


@pytest.mark.parametrize("batch_size", [1, 4])
async def test_the_matting_network_draws_the_band_and_the_rest_stays(batch_size: int) -> None:
    predictor, matting = FakePredictor(), FakeMatting()
    pair = PredictorWithMatting(predictor, matting)
    async with serving(pair, max_batch_size=batch_size) as (client, _):
        plain, drawn = await post(client, "detail=off"), await post(client)
        assert (plain.status_code, drawn.status_code) == (200, 200)
        before, after = (
            np.asarray(Image.open(BytesIO(answer.content))).astype(int) for answer in (plain, drawn)
        )
        band = after == 64
        assert (after[~band] == before[~band]).all()
        assert band[:, 396:404].all()  # the edge of the left half
        assert not band[:, :370].any()
        assert not band[:, 430:].any()
        assert predictor.predicted == [1, 1]
        assert sum(matting.predicted) == 2  # the edge lies in the overlap of two tiles
        times = drawn.headers["server-timing"]
        assert "predict" in times


async def test_a_matte_of_ones_own_is_not_refined() -> None:
    pair = PredictorWithMatting(FakePredictor(), FakeMatting())
    async with serving(pair) as (client, _):
        refused = await client.post(
            PATH, files={"image": SMALL, "matte": SMALL}, data={"detail": "matting"}
        )
        assert (refused.status_code, refused.json()["type"]) == (400, "malformed-request")
        assert "leave out matte" in refused.json()["detail"]


async def test_out_of_memory_on_a_tile_is_retried_then_fails_that_job_alone() -> None:
    matting = FakeMatting([OutOfDeviceMemory("full")])
    async with serving(PredictorWithMatting(FakePredictor(), matting)) as (client, engine):
        assert (await post(client)).status_code == 200
        matting.errors = [OutOfDeviceMemory("full"), OutOfDeviceMemory("full")]
        failed = await post(client)
        assert (failed.status_code, failed.json()["type"]) == (503, "out-of-device-memory")
        matting.errors = [InferenceError("not a number")]
        failed = await post(client)
        assert (failed.status_code, failed.json()["type"]) == (500, "inference-error")
        assert (await post(client)).status_code == 200
        assert engine.state is State.READY


async def test_a_tile_that_hangs_fails_the_service_like_any_prediction() -> None:
    matting = FakeMatting(gated=True)
    pair = PredictorWithMatting(FakePredictor(), matting)
    async with serving(pair, predict_timeout_s=0.2) as (client, engine):
        failed = asyncio.Event()
        engine.on_failure = failed.set
        answer = await post(client)
        await asyncio.wait_for(failed.wait(), 30)
        assert answer.status_code == 503
        assert "longer than 0.2 s" in engine.failure
        matting.gate.set()
