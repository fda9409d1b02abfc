"""The task that drains the queue through the predictor, a batch at a time, in its own thread."""

import asyncio
import gc
import logging
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from rmbg_service.diagnostics.quality import Quality, measure_quality, require_quality
from rmbg_service.errors import (
    DeviceFailure,
    InferenceError,
    OutOfDeviceMemory,
    RmbgError,
)
from rmbg_service.models.predictor import Predictor, require_matte
from rmbg_service.serving.admission import ServiceTime
from rmbg_service.serving.fair_share import FairQueue, FairShare
from rmbg_service.serving.job import Job, no_memory
from rmbg_service.serving.metrics import Metrics
from rmbg_service.settings import Settings
from rmbg_service.system.resources import lower_thread_priority
from rmbg_service.types import Matte, ModelInput

log = logging.getLogger(__name__)

_MAX_OOM_IN_A_ROW = 3
_ANTICIPATION = 0.5  # of what a job takes of the predictor


@dataclass(eq=False)
class _Entry:
    """The place of one of a job's inputs in the queue, and the promise of its matte."""

    job: Job
    model_input: ModelInput
    matte: asyncio.Future[Matte]

    def answer(self, outcome: Matte | Exception) -> None:
        """Keep the promise, unless it was answered before."""
        if self.matte.done():
            return
        if isinstance(outcome, Exception):
            self.matte.set_exception(outcome)
        else:
            self.matte.set_result(outcome)


class Worker:
    """Owns the predictor's thread. Every promise is answered, whatever the predictor does."""

    def __init__(
        self,
        predictor: Predictor,
        settings: Settings,
        metrics: Metrics,
        service_time: ServiceTime,
        share: FairShare,
    ) -> None:
        self._predictor = predictor
        self._settings = settings
        self._metrics = metrics
        self._service_time = service_time
        self._thread = ThreadPoolExecutor(1, "predictor", lower_thread_priority)
        self._share = share
        self._queue: FairQueue[_Entry] = FairQueue(share)
        self._expected: dict[Job, float] = {}  # and since when
        self._arrived = asyncio.Event()
        self._unanswered: set[_Entry] = set()
        self._refusal: RmbgError | None = None
        self._oom_in_a_row = 0
        self.quality: Quality | None = None
        """The result of the self-check; None before it and where it is off."""

    def queue_depth(self) -> int:
        """Jobs decoded and waiting to be predicted, however many inputs each of them has."""
        return len({entry.job for entry in self._queue})

    async def load(self) -> None:
        """Load and warm up; the second, warm prediction is the first estimate of the pace.

        With `self_check`, raises `ConfigurationError` when the model does not work.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._predictor.load)
        await loop.run_in_executor(self._thread, self._predictor.warm_up)
        started = time.perf_counter()
        await loop.run_in_executor(self._thread, self._predictor.warm_up)
        self._service_time.observe_predict(time.perf_counter() - started)
        if self._settings.self_check:
            self.quality = await loop.run_in_executor(
                self._thread, measure_quality, self._predictor
            )
            log.info("self-check: %s", self.quality)
            require_quality(self._predictor.name, self.quality)

    async def close(self) -> None:
        """Free the predictor once its thread is free; cancel this if that takes too long."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._predictor.close)
        except Exception:  # the end of the process frees it
            log.exception("the model could not be freed")
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def expecting(self, job: Job) -> Iterator[None]:
        """During the block, a step of `job` is at work after which it may ask for a prediction."""
        self._expected[job] = time.perf_counter()
        try:
            yield
        finally:
            del self._expected[job]
            self._arrived.set()

    async def _anticipate(self) -> None:
        """Wait a moment for a job of a client that has used less than all those in the queue.

        A client that sends one image after the other never waits here when a prediction ends.
        Unless the predictor waited for it, each of its predictions would come after one of a
        client with many requests (Iyer and Druschel, Anticipatory scheduling: a disk scheduling
        framework to overcome deceptive idleness in synchronous I/O, SOSP 2001).
        """
        moment_s = _ANTICIPATION * self._service_time.predict_s
        latest = time.perf_counter() + moment_s  # however many jobs begin in the meantime
        while (until := min(self._expected_until(moment_s), latest)) > time.perf_counter():
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(until - time.perf_counter()):
                    await self._arrived.wait()

    def _expected_until(self, moment_s: float) -> float:
        """Until when such a job is expected: for `moment_s` after its step has begun."""
        first = self._queue.clients()[0]
        used_s = self._share.used_s(first)
        begun = (
            begun
            for job, begun in self._expected.items()
            if job.visit.client != first and self._share.used_s(job.visit.client) < used_s
        )
        return max(begun, default=-math.inf) + moment_s

    async def predict(self, job: Job, inputs: Sequence[ModelInput]) -> list[Matte]:
        """Queue the job's `inputs` and wait for their mattes.

        They wait together: no other client's job comes between them while the job's own client
        has used the least, and they are predicted as one batch where batches are allowed. Raises
        what the prediction of one of them raises; the rest is then not predicted any more. After
        `refuse_all`, raises its error at once.
        """
        if self._refusal is not None:
            raise self._refusal
        loop = asyncio.get_running_loop()
        entries = [_Entry(job, model_input, loop.create_future()) for model_input in inputs]
        timings = job.timings
        timings.stage = "queue"
        started, predicted_before_s = time.perf_counter(), timings.seconds.get("predict", 0.0)
        self._unanswered.update(entries)
        for entry in entries:
            self._queue.put_nowait(job.visit.client, entry)
        try:
            return [await entry.matte for entry in entries]
        finally:
            self._unanswered.difference_update(entries)
            for entry in entries:
                entry.matte.cancel()
            predicted_s = timings.seconds.get("predict", 0.0) - predicted_before_s
            timings.add("queue", time.perf_counter() - started - predicted_s)

    def refuse_all(self, error: RmbgError) -> None:
        """Answer every waiting job with `error`, and every later one."""
        self._refusal = error
        for entry in self._unanswered:
            entry.answer(error)

    async def run(self) -> None:
        """Drain the queue forever.

        Raises `DeviceFailure` when the device is lost or out of memory three jobs in a row, and
        `TimeoutError` when a prediction hangs; the caller then refuses what still waits.
        """
        while True:
            await self._queue.wait_until_filled()
            await self._anticipate()
            batch = [self._queue.get_nowait()]
            while len(batch) < self._settings.max_batch_size and len(self._queue):
                batch.append(self._queue.get_nowait())
            wanted = [entry for entry in batch if _still_wanted(entry)]
            if wanted:
                await self._predict_batch(wanted)

    async def _predict_batch(self, batch: list[_Entry]) -> None:
        outcome = await self._attempt(batch)
        if isinstance(outcome, OutOfDeviceMemory):
            await asyncio.get_running_loop().run_in_executor(self._thread, gc.collect)
        retry = isinstance(outcome, OutOfDeviceMemory) or len(batch) > 1
        if isinstance(outcome, RmbgError) and retry:
            for entry in batch:  # one by one: a bad image or a full device costs one job only
                if _still_wanted(entry):
                    await self._answer([entry], await self._attempt([entry]))
        else:
            await self._answer(batch, outcome)

    async def _attempt(self, batch: list[_Entry]) -> Sequence[Matte] | RmbgError:
        """Predict; a job's error is returned, an error that ends the service is raised.

        Errors are returned without their traceback, whose frames would keep tensors alive.
        """
        started = time.perf_counter()
        for entry in batch:
            entry.job.timings.stage = "predict"
        inputs = [entry.model_input for entry in batch]
        loop = asyncio.get_running_loop()
        call = loop.run_in_executor(self._thread, self._predict, inputs)
        limit_s = self._settings.predict_timeout_s
        await asyncio.wait({call}, timeout=limit_s / 2)
        if not call.done():  # while the process is suspended, no more than one half can pass
            await asyncio.wait({call}, timeout=limit_s / 2)
        if not call.done():
            raise TimeoutError(f"a prediction took longer than {limit_s:g} s")
        seconds = time.perf_counter() - started
        for job in {entry.job for entry in batch}:
            job.timings.add("predict", seconds)
        try:
            mattes = call.result()
        except DeviceFailure as error:
            await self._answer(batch, error)
            raise
        except OutOfDeviceMemory as error:
            self._metrics.device_oom.inc()
            return error.with_traceback(None)
        except RmbgError as error:
            return error.with_traceback(None)
        except MemoryError:
            return no_memory()
        except Exception:
            log.exception("the predictor failed")
            return InferenceError("the model failed on this image")
        for entry in batch:
            entry.job.predictor_s += seconds / len(batch)
            entry.job.visit.charge(seconds / len(batch) * self._settings.codec_threads)
        return mattes

    def _predict(self, inputs: Sequence[ModelInput]) -> Sequence[Matte]:
        """The predictor's mattes, checked; runs in its thread.

        Whatever it raises becomes an `Exception`: a `CancelledError` or a `SystemExit` would end
        the worker's task instead of the job.
        """
        try:
            mattes = self._predictor.predict(inputs)
        except Exception:
            raise
        except BaseException as error:
            raise RuntimeError(f"the predictor raised {type(error).__name__}") from error
        if len(mattes) != len(inputs):
            raise InferenceError(
                "expected {count} mattes, got {found}", count=len(inputs), found=len(mattes)
            )
        for matte, model_input in zip(mattes, inputs, strict=True):
            height, width = model_input.shape[:2]
            require_matte(matte, (height, width))
        return mattes

    async def _answer(self, batch: list[_Entry], outcome: Sequence[Matte] | RmbgError) -> None:
        """Keep the promises, and let the jobs run: a failed one withdraws its other inputs."""
        if isinstance(outcome, RmbgError):
            for entry in batch:
                entry.answer(outcome)
        else:
            for entry, matte in zip(batch, outcome, strict=True):
                entry.answer(matte)
        await asyncio.sleep(0)
        if not isinstance(outcome, OutOfDeviceMemory):
            self._oom_in_a_row = 0
            return
        self._oom_in_a_row += 1
        if self._oom_in_a_row >= _MAX_OOM_IN_A_ROW:
            raise DeviceFailure(
                "{count} jobs in a row ran out of device memory", count=_MAX_OOM_IN_A_ROW
            )


def _still_wanted(entry: _Entry) -> bool:
    """Whether to predict it; otherwise its promise is answered with the reason."""
    try:
        entry.job.check()
    except RmbgError as error:
        entry.answer(error)
    return not entry.matte.done()
