"""The life of the service and of each job.

    submit -> [a slot for a decoded picture] -> codec pool: decode -> queue -> worker: predict
           -> codec pool: plan -> queue -> worker: predict the further views that the plan asks for
           -> codec pool: refine, encode -> result

The worker only ever sees small inputs of one size; all large-image work runs in the codec pool
while the predictor works on the neighbour job.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import takewhile

from rmbg_service.errors import InvalidImage, NotReady, RmbgError
from rmbg_service.imaging.decode import ImageInfo, SourceImage, decode, probe
from rmbg_service.matting.plan import DetailPlan
from rmbg_service.models import catalog
from rmbg_service.models.predictor import Predictor
from rmbg_service.removal import pipeline
from rmbg_service.removal.pipeline import Encoded
from rmbg_service.serving.admission import Budget, ServiceTime
from rmbg_service.serving.job import Job, Stamps
from rmbg_service.serving.metrics import Metrics
from rmbg_service.serving.rate_limit import RateLimit
from rmbg_service.serving.state import State
from rmbg_service.serving.thread_pool import ThreadPool
from rmbg_service.serving.worker import Worker
from rmbg_service.settings import Settings
from rmbg_service.types import Matte, ModelInput

log = logging.getLogger(__name__)

_RETRY_AFTER_RESTART_S = 10
STOP_S = 3.0
"""How long `Engine.stop` waits for what nobody waits for any more."""
_BEFORE_THE_MATTE = frozenset({"queue", "decode", "predict"})


class Engine:
    """Owns the worker, the codec pool and the budget; made once by `create_app`."""

    def __init__(self, predictor: Predictor, settings: Settings, metrics: Metrics) -> None:
        self.predictor = predictor
        self.settings = settings
        self.metrics = metrics
        self.state = State.LOADING
        self.failure = ""
        self.on_ready: Callable[[], None] | None = None
        self.on_failure: Callable[[], None] | None = None
        self.service_time = ServiceTime(settings.codec_threads)
        self.budget = Budget(
            settings.max_inflight_jobs, settings.max_inflight_pixels, self.service_time
        )
        self.rate_limit = RateLimit(settings.rate_limit_megapixels_per_minute)
        self.worker = Worker(predictor, settings, metrics, self.service_time)
        self._decoded_slots = asyncio.Semaphore(settings.max_decoded_images)
        self._codec_pool = ThreadPool(
            "codec",
            settings.codec_threads,
            settings.codec_timeout_s,
            self._fail,
            low_priority=True,
        )
        self._probe_pool = ThreadPool("probe", 1, settings.codec_timeout_s, self._fail)
        self._jobs: dict[asyncio.Task[Encoded], Job] = {}  # in the order they came
        self._supervisor: asyncio.Task[None] | None = None
        self.work_left = False
        """Whether threads may still be at work; False after a `stop` that ended all of them."""
        metrics.watch(self)

    @property
    def device(self) -> str:
        """Where the model runs."""
        return getattr(self.predictor, "device", "unknown")

    @property
    def licence(self) -> str:
        """SPDX name of the weights' licence."""
        return catalog.licence_of(self.predictor.name)

    @property
    def idle(self) -> bool:
        """Whether no job is running any more."""
        return not self._jobs

    @property
    def alive(self) -> bool:
        """Whether the worker is at work and nothing has failed; what livez shows."""
        at_work = self._supervisor is not None and not self._supervisor.done()
        return at_work and self.state is not State.FAILED

    @property
    def stuck_threads(self) -> int:
        """Threads that have not come back from an image in time."""
        return self._codec_pool.stuck + self._probe_pool.stuck

    def start(self) -> None:
        """Begin to load the model; returns at once, `state` tells when it is ready."""
        self.work_left = True
        self._supervisor = asyncio.create_task(self._supervise())

    def drain(self) -> None:
        """Admit nothing more."""
        if self.state is not State.FAILED:
            self.state = State.DRAINING

    async def stop(self) -> None:
        """Free the model, once the jobs that are still running have ended.

        The server has waited for every answer before; what runs now runs for nobody, and is waited
        for only briefly.
        """
        self.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                if self._jobs:
                    await asyncio.wait(self._jobs)
                await self._stop_worker()
        if self._supervisor is not None:
            self._supervisor.cancel()
        for pool in (self._codec_pool, self._probe_pool):
            pool.close()

    async def _stop_worker(self) -> None:
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait({self._supervisor})
        if self.state is not State.FAILED:
            await self.worker.close()
            self.work_left = self.stuck_threads > 0

    async def _supervise(self) -> None:
        """Load, then work for ever; whatever ends this ends the service."""
        try:
            await self.worker.load()
        except RmbgError as error:
            return self._fail(str(error))
        except Exception as error:
            log.exception("the model does not load")
            return self._fail(f"the model does not load: {error}")
        self.metrics.name_model(name=self.predictor.name, device=self.device, licence=self.licence)
        if self.state is State.LOADING:
            self.state = State.READY
            if self.on_ready is not None:
                self.on_ready()
        try:
            await self.worker.run()
        except (RmbgError, TimeoutError) as error:
            return self._fail(str(error))
        except Exception as error:
            log.exception("the worker ended")
            return self._fail(f"the worker ended: {error}")

    def _fail(self, reason: str) -> None:
        self.state = State.FAILED
        self.failure = reason
        log.critical("the service has failed: %s", reason)
        self.worker.refuse_all(self.not_ready())
        if self.on_failure is not None:
            self.on_failure()

    def require_ready(self) -> None:
        """Raise `NotReady` in any state but READY."""
        if self.state is not State.READY:
            raise self.not_ready()

    def not_ready(self) -> NotReady:
        """The error that says in which state the service is."""
        detail = {
            State.LOADING: "the model is still loading",
            State.DRAINING: "the service is shutting down",
        }.get(self.state, "the service has failed and waits to be restarted")
        return NotReady(detail, _RETRY_AFTER_RESTART_S)

    async def probe(self, data: bytes) -> ImageInfo:
        """Read the picture's header off the event loop; see `imaging.decode.probe`."""
        limit = self.settings.max_image_pixels
        return await self._probe_pool.run(lambda: probe(data, limit))

    def submit(self, job: Job) -> asyncio.Task[Encoded]:
        """Start `job`; whoever has reserved its pixels holds them until the task has ended."""
        task = asyncio.create_task(self._process(job))
        self._jobs[task] = job
        task.add_done_callback(self._forget)
        return task

    def jobs_ahead(self, stamps: Stamps) -> int:
        """How many jobs came before the one with these `stamps` and have no matte yet.

        For a request that is still being read there is no job: then it is all of them.
        """
        earlier = takewhile(lambda job: job.stamps is not stamps, self._jobs.values())
        return sum(job.stamps.stage in _BEFORE_THE_MATTE for job in earlier)

    def _forget(self, task: asyncio.Task[Encoded]) -> None:
        del self._jobs[task]
        if not task.cancelled():
            task.exception()  # fetched, so that asyncio does not report an abandoned job's error

    async def _process(self, job: Job) -> Encoded:
        waiting_since = time.perf_counter()
        limit = self.settings.max_image_pixels
        job.stamps.stage = "queue"
        async with self._decoded_slots:
            job.stamps.add("queue", time.perf_counter() - waiting_since)
            source, model_input = await self._codec_pool.run(lambda: self._decode(job))
            matte = await self.worker.predict(job, model_input)
            plan, inputs = await self._codec_pool.run(lambda: self._plan(job, source, matte))
            seconds = [await self.worker.predict(job, again) for again in inputs]
            result = await self._codec_pool.run(
                lambda: _finish(job, source, matte, plan, seconds, limit)
            )
        stages = job.stamps.seconds
        self.service_time.observe_predict(job.predictor_s)
        self.service_time.observe_codec(sum(stages[s] for s in ("decode", "refine", "encode")))
        return result

    def _decode(self, job: Job) -> tuple[SourceImage, ModelInput]:
        job.check()
        with job.stamps.measure("decode"):
            source = pipeline.read(job.data, job.info, job.options)
            job.data = b""
            return source, pipeline.prepare(source, self.predictor.input_size)

    def _plan(
        self, job: Job, source: SourceImage, matte: Matte
    ) -> tuple[DetailPlan, list[ModelInput]]:
        job.check()
        with job.stamps.measure("refine"):
            size = self.predictor.input_size
            plan = pipeline.plan(source, matte, job.options, size)
            return plan, [pipeline.prepare(source, size, view) for view in plan.views]


def _finish(
    job: Job,
    source: SourceImage,
    matte: Matte,
    plan: DetailPlan,
    seconds: Sequence[Matte],
    max_pixels: int,
) -> Encoded:
    job.check()
    with job.stamps.measure("refine"):
        joined = pipeline.join(source, matte, plan, seconds)
        cutout = pipeline.refine(source, joined, job.options, guided=plan.guided)
    job.check()
    with job.stamps.measure("encode"):
        background = None
        if job.background is not None and job.background_info is not None:
            try:
                background = pipeline.background_of(decode(job.background, job.background_info))
            except InvalidImage as error:
                raise InvalidImage(f"the background: {error}") from None
        return pipeline.encode(cutout, job.options, max_pixels, background)
