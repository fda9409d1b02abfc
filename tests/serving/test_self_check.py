"""The check of the model at the start, over the whole app."""

from collections.abc import Sequence

import httpx

from rmbg_service.api.app import create_app
from rmbg_service.models.reference_image import reference_matte
from rmbg_service.serving.engine import Engine
from rmbg_service.serving.state import State
from rmbg_service.settings import Settings
from rmbg_service.types import Matte, ModelInput
from tests.fakes import FakePredictor, serving, until


class Working(FakePredictor):
    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        return [reference_matte(self.input_size) for _ in batch]


async def test_a_model_that_works_is_served_and_health_shows_the_result() -> None:
    async with serving(Working(), self_check=True) as (client, _):
        health = (await client.get("/health")).json()
        assert health["self_check"] == {"iou": 1.0, "mae": 0.0, "min_iou": 0.85}


async def test_a_model_that_does_not_work_stops_the_start() -> None:
    app = create_app(Settings(self_check=True), FakePredictor())
    engine: Engine = app.state.engine
    async with app.router.lifespan_context(app):
        await until(lambda: engine.state is State.FAILED)
        assert "does not cut out the reference image" in engine.failure
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            health = (await client.get("/health")).json()
        assert health["status"] == "failed"
        assert health["self_check"]["iou"] < 0.85


async def test_without_the_setting_nothing_is_checked() -> None:
    async with serving(FakePredictor()) as (client, engine):
        assert engine.worker.quality is None
        assert (await client.get("/health")).json()["self_check"] is None
