"""The life of jobs and of the service, over the whole app."""

import asyncio
import base64
import errno
import json
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from rmbg_service.api.app import create_app
from rmbg_service.errors import (
    ConfigurationError,
    DeviceFailure,
    InvalidImage,
    OutOfDeviceMemory,
)
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.serving.engine import Engine
from rmbg_service.serving.state import State
from rmbg_service.settings import Settings
from rmbg_service.types import Matte, ModelInput
from tests.fakes import PATH, AppClient, FakePredictor, RawRequest, picture_bytes, serving, until

PNG = picture_bytes()
PNG_HEADERS = {"content-type": "image/png"}


async def test_a_burst_of_40_with_8_places_admits_exactly_8_and_reads_no_refused_body() -> None:
    predictor = FakePredictor(gated=True)
    async with serving(predictor, max_inflight_jobs=8) as (client, engine):
        app = client.app
        requests = [RawRequest(app) for _ in range(40)]
        tasks = [request.start() for request in requests]
        await until(lambda: sum(request.status == 429 for request in requests) == 32)
        refused = [request for request in requests if request.status == 429]
        assert all(request.receive_calls == 0 for request in refused)
        assert all(int(request.headers["retry-after"]) >= 1 for request in refused)
        assert engine.budget.jobs == 8
        assert engine.state is State.READY
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
        predictor.gate.set()
        for request in requests:
            request.send_body(PNG)
        await asyncio.gather(*tasks)
        assert sum(request.status == 200 for request in requests) == 8
        assert len(predictor.predicted) == 8
        assert engine.budget.jobs == engine.budget.pixels == 0


async def test_probes_answer_while_the_predictor_is_busy() -> None:
    predictor = FakePredictor(gated=True)
    async with serving(predictor) as (client, _):
        running = asyncio.create_task(client.post(PATH, content=PNG, headers=PNG_HEADERS))
        await predictor.wait_until_entered()
        for path in ("/livez", "/readyz", "/health", "/metrics", "/api/info"):
            assert (await client.get(path)).status_code == 200
        assert not running.done()
        predictor.gate.set()
        assert (await running).status_code == 200


async def test_a_client_that_leaves_while_queued_costs_no_inference() -> None:
    predictor = FakePredictor(gated=True)
    async with serving(predictor) as (client, engine):
        app = client.app
        staying, leaving = RawRequest(app), RawRequest(app)
        tasks = [staying.start()]
        staying.send_body(PNG)
        await predictor.wait_until_entered()
        tasks.append(leaving.start())
        leaving.send_body(PNG)
        await until(lambda: engine.worker.queue_depth() == 1)
        leaving.leave()
        await tasks[1]
        assert leaving.sent == []
        assert engine.budget.jobs == 2  # the job still owns its place
        predictor.gate.set()
        await tasks[0]
        await until(lambda: engine.budget.jobs == 0)
        assert len(predictor.predicted) == 1
        metrics = (await client.get("/metrics")).text
        assert 'rmbg_requests_total{outcome="cancelled"} 1.0' in metrics


async def test_a_job_whose_client_leaves_while_it_runs_keeps_its_memory_until_it_ends() -> None:
    predictor = FakePredictor(gated=True)
    async with serving(predictor) as (client, engine):
        request = RawRequest(client.app)
        task = request.start()
        request.send_body(PNG)
        await predictor.wait_until_entered()
        request.leave()
        await task
        assert engine.budget.pixels == 64 * 48
        predictor.gate.set()
        await until(lambda: engine.budget.jobs == 0)
        assert engine.budget.pixels == 0


async def test_a_job_past_its_deadline_is_answered_504_and_not_predicted() -> None:
    predictor = FakePredictor(gated=True)
    async with serving(predictor, request_timeout_s=0.2) as (client, engine):
        posts = [
            asyncio.create_task(client.post(PATH, content=PNG, headers=PNG_HEADERS))
            for _ in range(2)
        ]
        answers = await asyncio.gather(*posts)
        assert [answer.status_code for answer in answers] == [504, 504]
        predictor.gate.set()
        await until(lambda: engine.budget.jobs == 0)
        assert len(predictor.predicted) == 1


async def test_the_client_may_ask_for_a_shorter_wait() -> None:
    predictor = FakePredictor(gated=True)
    async with serving(predictor) as (client, _):
        headers = PNG_HEADERS | {"prefer": "respond-async, wait=1"}
        answer = await client.post(PATH, content=PNG, headers=headers)
        assert answer.status_code == 504
        assert answer.json()["type"] == "deadline-exceeded"


async def test_a_predictor_that_raises_costs_that_job_only() -> None:
    predictor = FakePredictor([ValueError("secret path")])
    async with serving(predictor) as (client, engine):
        answer = await client.post(PATH, content=PNG, headers=PNG_HEADERS)
        assert answer.status_code == 500
        assert answer.json()["type"] == "inference-error"
        assert "secret" not in answer.text
        assert (await client.post(PATH, content=PNG, headers=PNG_HEADERS)).status_code == 200
        assert engine.state is State.READY


async def test_out_of_memory_once_is_retried_and_the_client_never_knows() -> None:
    predictor = FakePredictor([OutOfDeviceMemory("full")])
    async with serving(predictor) as (client, _):
        assert (await client.post(PATH, content=PNG, headers=PNG_HEADERS)).status_code == 200
        assert "rmbg_device_oom_total 1.0" in (await client.get("/metrics")).text


async def test_out_of_memory_twice_fails_that_job_alone() -> None:
    predictor = FakePredictor([OutOfDeviceMemory("full"), OutOfDeviceMemory("full")])
    async with serving(predictor) as (client, engine):
        answer = await client.post(PATH, content=PNG, headers=PNG_HEADERS)
        assert answer.status_code == 503
        assert answer.json()["type"] == "out-of-device-memory"
        assert (await client.post(PATH, content=PNG, headers=PNG_HEADERS)).status_code == 200
        assert engine.state is State.READY


async def test_three_jobs_out_of_memory_in_a_row_fail_the_service() -> None:
    predictor = FakePredictor([OutOfDeviceMemory("full") for _ in range(6)])
    async with serving(predictor) as (client, engine):
        failed = asyncio.Event()
        engine.on_failure = failed.set
        for _ in range(3):
            answer = await client.post(PATH, content=PNG, headers=PNG_HEADERS)
            assert answer.status_code == 503
        await failed.wait()
        assert engine.state is State.FAILED
        assert (await client.get("/livez")).status_code == 503
        assert (await client.get("/readyz")).status_code == 503
        refused = await client.post(PATH, content=PNG, headers=PNG_HEADERS)
        assert (refused.status_code, refused.json()["type"]) == (503, "not-ready")


async def test_a_lost_device_fails_the_service_and_answers_everyone() -> None:
    predictor = FakePredictor([DeviceFailure("the CUDA context is dead")], gated=True)
    async with serving(predictor) as (client, engine):
        posts = [
            asyncio.create_task(client.post(PATH, content=PNG, headers=PNG_HEADERS))
            for _ in range(3)
        ]
        await until(lambda: engine.worker.queue_depth() == 2)
        predictor.gate.set()
        answers = await asyncio.gather(*posts)
        assert [answer.status_code for answer in answers] == [503, 503, 503]
        kinds = sorted(answer.json()["type"] for answer in answers)
        assert kinds == ["device-failure", "not-ready", "not-ready"]
        assert "CUDA" in (await client.get("/livez")).json()["detail"]


async def test_a_hung_prediction_fails_the_service_and_answers_everyone() -> None:
    predictor = FakePredictor(gated=True)
    async with serving(predictor, predict_timeout_s=0.1, codec_threads=4) as (client, engine):
        posts = [
            asyncio.create_task(client.post(PATH, content=PNG, headers=PNG_HEADERS))
            for _ in range(3)
        ]
        answers = await asyncio.gather(*posts)
        assert [answer.status_code for answer in answers] == [503, 503, 503]
        assert engine.state is State.FAILED
        assert (await client.get("/livez")).status_code == 503
        state = (await client.get("/metrics")).text
        assert 'rmbg_state{state="failed"} 1.0' in state
        assert 'rmbg_state{state="ready"} 0.0' in state


async def test_a_batch_takes_what_waits_and_a_bad_picture_in_it_costs_one_job() -> None:
    predictor = FakePredictor(gated=True)
    async with serving(predictor, max_batch_size=3, codec_threads=4) as (client, engine):
        first = asyncio.create_task(client.post(PATH, content=PNG, headers=PNG_HEADERS))
        await predictor.wait_until_entered()
        rest = [
            asyncio.create_task(client.post(PATH, content=PNG, headers=PNG_HEADERS))
            for _ in range(3)
        ]
        await until(lambda: engine.worker.queue_depth() == 3)
        predictor.errors = [ValueError("first call"), ValueError("batch"), ValueError("its first")]
        predictor.gate.set()
        answers = await asyncio.gather(first, *rest)
        assert predictor.predicted == [1, 3, 1, 1, 1]
        assert sorted(answer.status_code for answer in answers) == [200, 200, 500, 500]


async def test_draining_finishes_what_was_admitted_and_refuses_the_rest() -> None:
    predictor = FakePredictor(gated=True)
    app = create_app(Settings(), predictor)
    engine: Engine = app.state.engine
    engine.start()
    await until(lambda: engine.state is State.READY)
    admitted = [RawRequest(app) for _ in range(3)]
    tasks = [request.start() for request in admitted]
    for request in admitted:
        request.send_body(PNG)
    await until(lambda: engine.worker.queue_depth() == 2)
    stopping = asyncio.create_task(engine.stop())
    await until(lambda: engine.state is State.DRAINING)
    late = RawRequest(app)
    await late.start()
    assert (late.status, late.receive_calls) == (503, 0)
    predictor.gate.set()
    await asyncio.gather(stopping, *tasks)
    assert [request.status for request in admitted] == [200, 200, 200]
    assert predictor.closed


@pytest.mark.parametrize("error", [ConfigurationError("no such file"), RuntimeError("driver")])
async def test_a_model_that_does_not_load_fails_the_service(error: Exception) -> None:
    class Broken(FakePredictor):
        def load(self) -> None:
            raise error

    app = create_app(Settings(), Broken())
    engine: Engine = app.state.engine
    failed = asyncio.Event()
    engine.on_failure = failed.set
    async with app.router.lifespan_context(app):
        await failed.wait()
        assert engine.state is State.FAILED
        assert str(error) in engine.failure


async def test_matte_and_colours_come_back_where_they_belong() -> None:
    async with serving() as (client, _):
        body = {"image": base64.b64encode(PNG).decode()}
        answer = await client.post(
            PATH, content=json.dumps(body), headers={"content-type": "application/json"}
        )
        assert answer.status_code == 200
        assert answer.json()["timings_ms"].keys() == {
            "read",
            "decode",
            "queue",
            "predict",
            "refine",
            "encode",
        }


class Answering(FakePredictor):
    """Gives what `answers` returns for a batch, one each; after that, proper mattes."""

    def __init__(self, *answers: Callable[[int], Any]) -> None:
        super().__init__()
        self.answers = list(answers)

    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        mattes = super().predict(batch)
        if not self.answers:
            return mattes
        answer: list[Matte] = self.answers.pop(0)(len(batch))
        return answer


SIZE = FakePredictor.input_size


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: None,
        lambda _: [],
        lambda n: [None] * n,
        lambda n: [np.zeros(SIZE, np.float64)] * n,
        lambda n: [np.zeros((*SIZE, 1), np.float32)] * n,
        lambda n: [np.zeros(SIZE[::-1], np.float32)] * n,
        lambda n: [np.full(SIZE, 1.5, np.float32)] * n,
        lambda n: [np.full(SIZE, -0.1, np.float32)] * n,
        lambda n: [np.full(SIZE, np.nan, np.float32)] * n,
        lambda n: [np.full(SIZE, np.inf, np.float32)] * n,
        lambda n: [np.zeros(SIZE, np.float32)] * (n + 1),
    ],
)
async def test_what_is_not_a_matte_costs_that_job_only(answer: Callable[[int], Any]) -> None:
    async with serving(Answering(answer)) as (client, engine):
        refused = await client.post(PATH, content=PNG, headers=PNG_HEADERS)
        assert (refused.status_code, refused.json()["type"]) == (500, "inference-error")
        assert (await client.post(PATH, content=PNG, headers=PNG_HEADERS)).status_code == 200
        assert engine.state is State.READY
        assert engine.budget.jobs == 0


async def test_in_a_batch_one_bad_matte_costs_one_job() -> None:
    def second_is_bad(count: int) -> list[Matte]:
        return [np.full(SIZE, 2.0 if number == 1 else 0.5, np.float32) for number in range(count)]

    predictor = Answering(second_is_bad)
    predictor.gate.clear()
    async with serving(predictor, max_batch_size=2, codec_threads=4) as (client, engine):
        first = asyncio.create_task(client.post(PATH, content=PNG, headers=PNG_HEADERS))
        await predictor.wait_until_entered()
        rest = [
            asyncio.create_task(client.post(PATH, content=PNG, headers=PNG_HEADERS))
            for _ in range(2)
        ]
        await until(lambda: engine.worker.queue_depth() == 2)
        predictor.answers.insert(0, lambda n: [np.zeros(SIZE, np.float32)] * n)
        predictor.gate.set()
        answers = await asyncio.gather(first, *rest)
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert predictor.predicted == [1, 2, 1, 1]


class Interrupting(FakePredictor):
    """Raises `interruption` in its first prediction."""

    def __init__(self, interruption: BaseException) -> None:
        super().__init__()
        self.interruptions = [interruption]

    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        mattes = super().predict(batch)
        if self.interruptions:
            raise self.interruptions.pop()
        return mattes


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(1), GeneratorExit()])
async def test_an_interrupted_prediction_costs_that_job_only(error: BaseException) -> None:
    async with serving(Interrupting(error)) as (client, engine):
        refused = await client.post(PATH, content=PNG, headers=PNG_HEADERS)
        assert (refused.status_code, refused.json()["type"]) == (500, "inference-error")
        assert (await client.post(PATH, content=PNG, headers=PNG_HEADERS)).status_code == 200
        assert engine.alive


async def test_a_worker_that_is_cancelled_fails_the_service_and_answers_everyone() -> None:
    predictor = FakePredictor(gated=True)
    async with serving(predictor) as (client, engine):
        failed = asyncio.Event()
        engine.on_failure = failed.set
        posts = [
            asyncio.create_task(client.post(PATH, content=PNG, headers=PNG_HEADERS))
            for _ in range(2)
        ]
        await until(lambda: engine.worker.queue_depth() == 1)
        assert engine._supervisor is not None
        engine._supervisor.cancel()
        await failed.wait()
        assert engine.state is State.FAILED
        answers = await asyncio.gather(*posts)
        assert [answer.json()["type"] for answer in answers] == ["not-ready", "not-ready"]
        assert (await client.get("/readyz")).status_code == 503
        await until(lambda: engine.budget.jobs == 0)


@pytest.mark.parametrize("step", ["read", "cut_out"])
@pytest.mark.parametrize("error", [MemoryError(), cv2.error("bad_alloc")])
async def test_without_memory_a_job_is_answered_503(
    step: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise error

    async with serving() as (client, engine):
        with monkeypatch.context() as patch:
            patch.setattr(f"rmbg_service.removal.pipeline.{step}", full)
            answer = await client.post(PATH, content=PNG, headers=PNG_HEADERS)
        assert (answer.status_code, answer.json()["type"]) == (503, "out-of-memory")
        assert (await client.post(PATH, content=PNG, headers=PNG_HEADERS)).status_code == 200
        assert engine.budget.jobs == 0


async def test_a_predictor_without_memory_costs_that_job_only() -> None:
    async with serving(FakePredictor([MemoryError()])) as (client, engine):
        answer = await client.post(PATH, content=PNG, headers=PNG_HEADERS)
        assert (answer.status_code, answer.json()["type"]) == (503, "out-of-memory")
        assert engine.state is State.READY


async def test_a_side_that_is_too_long_is_refused_from_its_header() -> None:
    async with serving(max_image_side=50) as (client, _):
        answer = await client.post(PATH, content=PNG, headers=PNG_HEADERS)  # of 64 x 48 px
        assert (answer.status_code, answer.json()["type"]) == (413, "image-too-large")
        assert "at most 50" in answer.json()["detail"]
        body = {"image": base64.b64encode(picture_bytes((50, 48))).decode()}
        assert (await client.post(PATH, json=body)).status_code == 200
        body["background_image"] = base64.b64encode(PNG).decode()
        refused = await client.post(PATH, json=body)
        assert refused.status_code == 413
        assert "the background" in refused.json()["detail"]


async def test_a_decoder_that_never_comes_back_costs_its_own_request_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoder = threading.Event()

    def hang(*_: object) -> None:
        assert decoder.wait(60)
        raise InvalidImage("too late")

    async with serving(codec_threads=1, codec_timeout_s=0.2) as (client, engine):
        with monkeypatch.context() as patched:
            patched.setattr("rmbg_service.removal.pipeline.read", hang)
            answer = await client.post(PATH, content=PNG, headers=PNG_HEADERS)
            assert answer.status_code == 504
            assert "codec took longer than 0.2 s" in answer.json()["detail"]
        assert engine.stuck_threads == 1
        assert "rmbg_stuck_threads 1.0" in (await client.get("/metrics")).text
        assert engine.budget.pixels == 64 * 48  # the decoder still has the image
        assert (await client.post(PATH, content=PNG, headers=PNG_HEADERS)).status_code == 200
        assert (await client.get("/livez")).status_code == 200
        decoder.set()
        await until(lambda: engine.stuck_threads == 0)
        assert engine.budget.pixels == 0


async def test_decoders_that_never_come_back_end_the_service_at_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoder = threading.Event()
    monkeypatch.setattr("rmbg_service.removal.pipeline.read", lambda *_: decoder.wait(60))
    async with serving(codec_threads=1, codec_timeout_s=0.05) as (client, engine):
        for _ in range(2):
            assert (await client.get("/livez")).status_code == 200
            answer = await client.post(PATH, content=PNG, headers=PNG_HEADERS)
            assert answer.status_code == 504
            assert "codec took longer than 0.05 s" in answer.json()["detail"]
        assert (await client.get("/livez")).status_code == 503
        assert engine.failure == "2 threads of the codec are stuck"
        decoder.set()
        await until(lambda: engine.stuck_threads == 0)


@pytest.mark.parametrize("step", ["load", "predict", "close"])
async def test_stopping_does_not_wait_for_what_hangs(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_: object) -> None:
        entered.set()
        assert gate.wait(60)

    entered, gate = threading.Event(), threading.Event()
    predictor = FakePredictor()
    monkeypatch.setattr(predictor, step, hang)
    monkeypatch.setattr("rmbg_service.serving.engine.STOP_S", 0.1)
    engine = create_app(Settings(), predictor).state.engine
    engine.start()
    if step != "load":
        await until(lambda: engine.state is State.READY)
    if step == "predict":
        engine.submit(await engine.create_job(PNG, {}, RemovalOptions(), deadline=math.inf))
    if step != "close":
        await until(entered.is_set)
    await engine.stop()
    assert engine.work_left
    gate.set()


async def test_stopping_knows_that_all_work_has_ended() -> None:
    async with serving() as (client, engine):
        assert (await client.post(PATH, content=PNG, headers=PNG_HEADERS)).status_code == 200
        assert engine.work_left
    assert not engine.work_left


async def test_a_model_that_cannot_be_freed_keeps_nothing_else_from_ending(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Stubborn(FakePredictor):
        def close(self) -> None:
            raise RuntimeError("CUDA error: unspecified launch failure")

    engine = Engine(Stubborn(), Settings())
    engine.start()
    await until(lambda: engine.state is State.READY)
    await engine.stop()
    assert not engine.work_left
    assert "unspecified launch failure" in caplog.text


async def test_a_header_that_takes_too_long_costs_no_more_than_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hang(*_: object) -> None:
        assert gate.wait(60)
        raise InvalidImage("too late")

    gate = threading.Event()
    async with serving(request_timeout_s=0.1) as (client, engine):
        with monkeypatch.context() as patched:
            patched.setattr("rmbg_service.serving.engine.probe", hang)
            answer = await client.post(PATH, content=PNG, headers=PNG_HEADERS)
        assert answer.status_code == 504
        assert engine.budget.jobs == 1  # the file is still in memory
        gate.set()
        await until(lambda: engine.budget.jobs == 0)


def at(client: AppClient, address: str) -> httpx.AsyncClient:
    """A client of the same app, at `address`."""
    transport = httpx.ASGITransport(client.app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://test")


class WatchedPredictor(FakePredictor):
    """Notes which of its inputs are white."""

    def __init__(self) -> None:
        super().__init__(gated=True)
        self.white: list[bool] = []

    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        mattes = super().predict(batch)
        self.white += [bool(item.min() == 255) for item in batch]
        return mattes


@pytest.mark.parametrize("codec_threads", [1, 4])  # they wait for slots, or for the predictor
async def test_a_client_that_has_used_less_is_served_first(codec_threads: int) -> None:
    white = np.full((48, 64, 3), 255, np.uint8)
    photo = cv2.imencode(".png", white)[1].tobytes()
    predictor = WatchedPredictor()
    async with (
        serving(predictor, codec_threads=codec_threads) as (client, engine),
        at(client, "192.0.2.1") as flood,
        at(client, "192.0.2.2") as other,
    ):
        engine.share.charge("192.0.2.1", 1e6)
        posts = [
            asyncio.create_task(flood.post(PATH, content=PNG, headers=PNG_HEADERS))
            for _ in range(6)
        ]
        queued = engine.settings.max_decoded_images - 1
        await until(lambda: engine.worker.queue_depth() == queued)
        await until(lambda: engine.budget.pixels == 6 * 64 * 48)
        posts.append(asyncio.create_task(other.post(PATH, content=photo, headers=PNG_HEADERS)))
        await until(lambda: engine.budget.pixels == 7 * 64 * 48)
        engine.service_time.predict_s = 20.0  # how long the predictor waits for it; see `Worker`
        predictor.gate.set()
        answers = await asyncio.gather(*posts)
        assert [answer.status_code for answer in answers] == [200] * 7
        # One was at work and, while this one is decoded, each codec thread may put in another one.
        assert predictor.white.index(True) <= 1 + queued
        assert predictor.white.count(True) == 1


async def test_the_wait_of_a_client_is_not_that_of_the_jobs_of_another() -> None:
    predictor = FakePredictor(gated=True)
    async with (
        serving(predictor) as (client, engine),
        at(client, "192.0.2.1") as flood,
        at(client, "192.0.2.2") as other,
    ):
        engine.service_time.predict_s = 4.0
        posts = [
            asyncio.create_task(flood.post(PATH, content=PNG, headers=PNG_HEADERS))
            for _ in range(5)
        ]
        await until(lambda: engine.budget.jobs == 5)
        headers = PNG_HEADERS | {"Prefer": "wait=10"}
        refused = await flood.post(PATH, content=PNG, headers=headers)
        assert (refused.status_code, refused.json()["type"]) == (429, "overloaded")
        posts.append(asyncio.create_task(other.post(PATH, content=PNG, headers=headers)))
        await until(lambda: engine.budget.jobs == 6)
        predictor.gate.set()
        answers = await asyncio.gather(*posts)
        assert [answer.status_code for answer in answers] == [200] * 6


async def test_an_error_of_whoever_waits_for_the_start_is_named() -> None:
    engine = Engine(FakePredictor(), settings := Settings())
    failed = asyncio.Event()

    def refuse() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    engine.on_ready, engine.on_failure = refuse, failed.set
    engine.start()
    await asyncio.wait_for(failed.wait(), settings.request_timeout_s)
    assert engine.failure == "the worker ended: [Errno 28] No space left on device"
    await engine.stop()
