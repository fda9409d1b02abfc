"""A checkpoint folder through the whole service."""

import asyncio
import io
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from rmbg_service.api.app import create_app
from rmbg_service.imaging.resize import shrink
from rmbg_service.matting.upsampling import upsample
from rmbg_service.models import catalog
from rmbg_service.models.spec import ModelSpec
from rmbg_service.serving.engine import Engine
from rmbg_service.settings import Settings
from tests.fakes import PATH
from tests.models.birefnet.parity import recipe

SIDE = 256


@pytest.mark.timeout(300)
async def test_a_folder_is_served_and_gives_the_matte_of_the_direct_call(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlisted = catalog.unlisted

    def small(source: str) -> ModelSpec:
        return replace(unlisted(source), input_size=(SIDE, SIDE))  # 16 times faster than 1024

    monkeypatch.setattr(catalog, "unlisted", small)
    settings = Settings(model=str(checkpoint), device="cpu")
    picture = recipe.image(300, 400)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")

    app = create_app(settings)
    engine: Engine = app.state.engine
    ready = asyncio.Event()
    engine.on_ready = ready.set
    async with app.router.lifespan_context(app):
        await asyncio.wait_for(ready.wait(), 200)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answer = await client.post(
                f"{PATH}?output=matte&detail=off",
                content=buffer.getvalue(),
                headers={"content-type": "image/png", "accept": "image/png"},
            )
        (matte,) = engine.predictor.predict([shrink(picture, (SIDE, SIDE))])
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-rmbg-model"] == checkpoint.name
    assert answer.headers["x-rmbg-model-license"] == "unknown"
    served = np.asarray(Image.open(io.BytesIO(answer.content)))

    direct = upsample(matte, (300, 400))
    assert np.ptp(direct) > 100  # a picture with something in it
    assert np.abs(served.astype(int) - direct).max() <= 1
