import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rmbg_service.batch.removers.local import LocalRemover, local_remover
from rmbg_service.batch.removers.remover import RemoverFailed, RunStopped
from rmbg_service.errors import DeviceFailure, InferenceError, InvalidImage
from rmbg_service.removal.attachments import Files
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.serving.state import State
from rmbg_service.settings import Settings
from rmbg_service.types import Matte, ModelInput
from tests.fakes import PATH, FakePredictor, picture_bytes, serving, until

PNG = picture_bytes()


@asynccontextmanager
async def local(
    predictor: FakePredictor,
    options: RemovalOptions | None = None,
    files: Files | None = None,
    stop: asyncio.Event | None = None,
    **settings: Any,
) -> AsyncIterator[LocalRemover]:
    stop = stop or asyncio.Event()
    options = options or RemovalOptions()
    made = local_remover(Settings(**settings), predictor, options, files or {}, stop)
    async with made as remover:
        try:
            yield remover
        finally:
            predictor.gate.set()


@pytest.mark.parametrize(
    "options", [{}, {"format": "webp"}, {"output": "matte"}, {"crop": True, "margin": "3px"}]
)
async def test_the_bytes_are_those_of_the_server(options: dict[str, Any]) -> None:
    async with serving() as (client, _):
        headers = {"content-type": "image/png", "accept": "image/*"}
        answer = await client.post(PATH, content=PNG, headers=headers, params=options)
    async with local(FakePredictor(), RemovalOptions(**options)) as remover:
        removed = await remover.remove(PNG)
    assert removed.data == answer.content
    assert removed.box is not None
    assert removed.box.width == int(answer.headers["x-rmbg-box"].split(",")[2])


async def test_a_background_picture_is_used() -> None:
    beach: Files = {"background_image": picture_bytes((8, 8), "BMP")}
    async with local(FakePredictor()) as without, local(FakePredictor(), None, beach) as with_it:
        assert (await without.remove(PNG)).data != (await with_it.remove(PNG)).data


class Counting(FakePredictor):
    loads = 0

    def load(self) -> None:
        self.loads += 1


async def test_no_model_is_loaded_for_a_matte_of_ones_own() -> None:
    predictor = Counting()
    async with local(predictor, None, {"matte": picture_bytes((64, 48))}) as remover:
        assert (await remover.remove(PNG)).box is not None
        await asyncio.gather(remover.remove(PNG), remover.remove(PNG))
    assert predictor.loads == 0
    assert predictor.closed


async def test_the_model_is_loaded_once_and_not_for_a_broken_file() -> None:
    predictor = Counting()
    async with local(predictor) as remover:
        with pytest.raises(InvalidImage):
            await remover.remove(b"nonsense")
        assert predictor.loads == 0
        await asyncio.gather(remover.remove(PNG), remover.remove(PNG))
    assert predictor.loads == 1
    assert predictor.closed
    assert not remover.engine.work_left


async def test_a_file_is_decoded_while_another_is_predicted() -> None:
    predictor = FakePredictor(gated=True)
    async with local(predictor, codec_threads=2) as remover:
        assert remover.parallel == 4
        running = [asyncio.create_task(remover.remove(PNG)) for _ in range(remover.parallel)]
        await predictor.wait_until_entered()
        await until(lambda: remover.engine.worker.queue_depth() == 2)
        predictor.gate.set()
        await asyncio.gather(*running)
        assert remover.engine.budget.jobs == 0


async def test_the_jobs_bound_holds_here_too() -> None:
    async with local(FakePredictor(), max_inflight_jobs=1, codec_threads=4) as remover:
        assert remover.parallel == 1


async def test_an_error_of_one_picture_is_its_own() -> None:
    async with local(FakePredictor([ValueError("odd")])) as remover:
        with pytest.raises(InferenceError):
            await remover.remove(PNG)
        assert (await remover.remove(PNG)).data


@pytest.mark.parametrize("error", [DeviceFailure("the device is lost"), None])
async def test_a_dead_engine_ends_the_run(error: Exception | None) -> None:
    class Broken(FakePredictor):
        def load(self) -> None:
            if error is None:
                raise OSError("no weights")

    async with local(Broken([] if error is None else [error])) as remover:
        with pytest.raises(RemoverFailed, match=r"device is lost|no weights"):
            await remover.remove(PNG)
        assert remover.engine.work_left


async def test_a_stop_does_not_wait_for_the_model() -> None:
    class Slow(FakePredictor):
        def load(self) -> None:
            assert self.gate.wait(60)

    stop = asyncio.Event()
    async with local(Slow(gated=True), stop=stop) as remover:
        running = asyncio.create_task(remover.remove(PNG))
        await asyncio.sleep(0)
        stop.set()
        with pytest.raises(RunStopped):
            await running
        assert remover.engine.work_left
    await until(lambda: not remover.engine.alive)
    assert remover.engine.state is State.LOADING  # it has not failed


async def test_a_cancelled_removal_is_not_encoded() -> None:
    class Counting(FakePredictor):
        def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
            return super().predict(batch)

    predictor = Counting(gated=True)
    async with local(predictor) as remover:
        running = asyncio.create_task(remover.remove(PNG))
        await predictor.wait_until_entered()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        predictor.gate.set()
        await until(lambda: remover.engine.idle)
        assert remover.engine.budget.jobs == 0


async def test_the_model_has_the_name_that_its_weights_have() -> None:
    class Copy(FakePredictor):
        def load(self) -> None:
            self.name = "the original"

    async with local(Copy()) as remover:
        assert remover.model == "fake"
        await remover.remove(PNG)
        assert remover.model == "the original"
