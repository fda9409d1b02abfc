"""The inputs of one job wait together, and the predictor for those who have used little."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rmbg_service.errors import InferenceError, OutOfDeviceMemory
from rmbg_service.imaging.probe import probe
from rmbg_service.models.predictor import Predictor
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.serving.admission import ServiceTime
from rmbg_service.serving.fair_share import FairShare, Visit
from rmbg_service.serving.job import Abandoned, Job
from rmbg_service.serving.metrics import Metrics
from rmbg_service.serving.worker import Worker
from rmbg_service.settings import Settings
from rmbg_service.types import Matte, ModelInput
from tests.fakes import FakePredictor, picture_bytes, until

PNG = picture_bytes()


class MarkedPredictor(FakePredictor):
    """Notes the mark of each input: the value of its pixels."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(gated=True, **arguments)
        self.batches: list[list[int]] = []

    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        mattes = super().predict(batch)
        self.batches.append([int(item.flat[0]) for item in batch])
        return mattes


def marked(*marks: int) -> list[ModelInput]:
    return [np.full((32, 544, 3), mark, np.uint8) for mark in marks]


@asynccontextmanager
async def working(
    predictor: Predictor, predict_s: float = 0.0, **settings: Any
) -> AsyncIterator[tuple[Worker, Callable[[str], Job]]]:
    """A worker that runs, and what makes a job of a client."""
    share, service_time = FairShare(), ServiceTime(2)
    service_time.predict_s = predict_s
    worker = Worker(predictor, Settings(**settings), Metrics(), service_time, share)
    task = asyncio.create_task(worker.run(), name="worker")

    def job(client: str) -> Job:
        info = probe(PNG, 10_000)
        visit = Visit(share, client)
        return Job(data=PNG, info=info, options=RemovalOptions(), deadline=1e12, visit=visit)

    try:
        yield worker, job
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await worker.close()


@pytest.mark.parametrize(
    ("batch_size", "batches"), [(1, [[9], [1], [2], [3], [8]]), (3, [[9], [1, 2, 3], [8]])]
)
async def test_no_other_job_comes_between_the_views_of_one(
    batch_size: int, batches: list[list[int]]
) -> None:
    predictor = MarkedPredictor()
    async with working(predictor, max_batch_size=batch_size) as (worker, job):
        flood, photo = job("flood"), job("photo")
        flood.visit.charge(1e6)
        first = asyncio.create_task(worker.predict(flood, marked(9)))
        await predictor.wait_until_entered()
        second = asyncio.create_task(worker.predict(flood, marked(8)))
        views = asyncio.create_task(worker.predict(photo, marked(1, 2, 3)))
        await until(lambda: worker.queue_depth() == 2)  # jobs, with four inputs
        predictor.gate.set()
        assert len(await views) == 3
        await asyncio.gather(first, second)
        assert predictor.batches == batches
        # Once for the job, also if several of its views were in one batch, and apart from its wait.
        assert set(photo.timings.seconds) == {"queue", "predict"}
        assert photo.timings.seconds["predict"] >= photo.predictor_s - 1e-9


async def test_after_a_view_has_failed_the_others_are_not_predicted() -> None:
    predictor = MarkedPredictor(errors=[InferenceError("no")])
    predictor.gate.set()
    async with working(predictor) as (worker, job):
        with pytest.raises(InferenceError):
            await worker.predict(job("photo"), marked(1, 2, 3))
        await until(lambda: worker.queue_depth() == 0)
        assert len(await worker.predict(job("photo"), marked(7))) == 1
        assert predictor.predicted == [1, 1]
        assert predictor.batches == [[7]]


async def test_a_job_whose_views_fill_a_batch_runs_out_of_memory_once() -> None:
    predictor = MarkedPredictor(errors=[OutOfDeviceMemory("full")] * 2)
    predictor.gate.set()
    async with working(predictor, max_batch_size=3) as (worker, job):
        with pytest.raises(OutOfDeviceMemory):
            await worker.predict(job("photo"), marked(1, 2, 3))
        assert len(await worker.predict(job("photo"), marked(7))) == 1
        assert predictor.predicted == [3, 1, 1]  # the batch, one view alone, and the next job


async def test_who_leaves_is_not_predicted_again() -> None:
    predictor = MarkedPredictor(errors=[OutOfDeviceMemory("full")])
    async with working(predictor) as (worker, job):
        leaving = job("photo")
        waiting = asyncio.create_task(worker.predict(leaving, marked(1)))
        await predictor.wait_until_entered()
        leaving.abandoned = True
        predictor.gate.set()
        with pytest.raises(Abandoned):
            await waiting
        assert predictor.predicted == [1]


async def test_the_predictor_waits_a_moment_for_a_client_that_has_used_less() -> None:
    predictor = MarkedPredictor()
    predictor.gate.set()
    async with working(predictor, predict_s=1e6) as (worker, job):
        flood, photo = job("flood"), job("photo")
        flood.visit.charge(1e6)
        with worker.expecting(photo):
            waiting = asyncio.create_task(worker.predict(flood, marked(9)))
            await until(lambda: worker.queue_depth() == 1)
        await worker.predict(photo, marked(1))
        await waiting
        assert predictor.batches == [[1], [9]]


async def test_it_does_not_wait_for_other_jobs_of_the_same_client() -> None:
    predictor = MarkedPredictor()
    predictor.gate.set()
    async with working(predictor, predict_s=1e6) as (worker, job):
        first, second = job("shop"), job("shop")
        first.visit.charge(1e6)  # less with every moment that passes
        with worker.expecting(second):
            await worker.predict(first, marked(1))


async def test_it_waits_for_nobody_who_has_used_more_and_not_for_long() -> None:
    predictor = MarkedPredictor()
    predictor.gate.set()
    async with working(predictor, predict_s=1e6) as (worker, job):
        flood, photo = job("flood"), job("photo")
        flood.visit.charge(1e6)
        with worker.expecting(flood), worker.expecting(photo):
            await worker.predict(photo, marked(1))
    async with working(predictor, predict_s=0.02) as (worker, job):
        flood, photo = job("flood"), job("photo")
        flood.visit.charge(1e6)
        with worker.expecting(photo):
            await worker.predict(flood, marked(9))  # while the other step goes on and on
    assert predictor.batches == [[1], [9]]


async def test_jobs_that_begin_one_after_the_other_do_not_make_it_wait_for_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SimpleNamespace(now=0.0)
    clock.perf_counter = lambda: clock.now
    monkeypatch.setattr("rmbg_service.serving.worker.time", clock)
    predictor = MarkedPredictor()
    predictor.gate.set()
    async with working(predictor, predict_s=10.0) as (worker, job):
        flood = job("flood")
        flood.visit.charge(1e6)
        with worker.expecting(job("photo")):
            waiting = asyncio.create_task(worker.predict(flood, marked(9)))
            await until(lambda: worker.queue_depth() == 1)
        for _ in range(3):  # each of them ends in an error, and the next one begins
            clock.now += 1
            with worker.expecting(job("photo")):
                await asyncio.sleep(0)
        assert predictor.batches == []
        clock.now += 3
        with worker.expecting(job("photo")):
            assert len(await asyncio.wait_for(waiting, 30)) == 1


async def test_it_ends_when_it_is_told_to_just_as_a_job_arrives() -> None:
    predictor = MarkedPredictor()
    predictor.gate.set()
    async with working(predictor, predict_s=1e6) as (worker, job):
        (running,) = (task for task in asyncio.all_tasks() if task.get_name() == "worker")
        flood = job("flood")
        flood.visit.charge(1e6)
        with worker.expecting(job("photo")):
            waiting = asyncio.create_task(worker.predict(flood, marked(9)))
            await until(lambda: worker.queue_depth() == 1)
        running.cancel()
        ended, _ = await asyncio.wait({running}, timeout=30)
        waiting.cancel()
        assert ended
