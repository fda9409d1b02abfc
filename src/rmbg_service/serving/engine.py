"""The life of the service and of each job.

    submit -> [a slot for a decoded image] -> codec pool: decode -> queue -> worker: predict
           -> codec pool: plan -> queue -> worker: predict the further views that the plan asks for
           -> codec pool: refine, encode -> result

The worker only ever sees small inputs; all large-image work runs in the codec pool while the
predictor works on another job.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import takewhile

from rmbg_service.errors import ImageTooLarge, InvalidImage, NotReady, RmbgError
from rmbg_service.imaging.probe import probe
from rmbg_service.imaging.source import ImageInfo
from rmbg_service.models.predictor import Predictor
from rmbg_service.removal.attachments import Attachment, Files, named, require_shape
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.passes import require_matting_model
from rmbg_service.removal.result import Encoded, require_accepted_canvas, reserved_pixels
from rmbg_service.serving.admission import Budget, ServiceTime
from rmbg_service.serving.codec.select import Codec, ThreadCodec, select_codec
from rmbg_service.serving.fair_pool import FairPool
from rmbg_service.serving.fair_share import FairShare, FairSlots, Visit
from rmbg_service.serving.job import Job
from rmbg_service.serving.metrics import Metrics
from rmbg_service.serving.pacer import Pacer
from rmbg_service.serving.rate_limit import RateLimit
from rmbg_service.serving.state import State
from rmbg_service.serving.thread_pool import StuckThread
from rmbg_service.serving.timings import StageTimings
from rmbg_service.serving.worker import Worker
from rmbg_service.settings import Settings
from rmbg_service.types import Matte

log = logging.getLogger(__name__)

_RETRY_AFTER_RESTART_S = 10
STOP_S = 3.0
"""How long `Engine.stop` waits for what nobody waits for any more."""
_PROBE_THREADS = 2  # so that the header of a small file need not wait for that of a large one
_BEFORE_THE_MATTE = frozenset({"queue", "decode", "predict"})


class Engine:
    """Owns the worker, the codec pool and the budget; `create_app` makes one."""

    def __init__(self, predictor: Predictor, settings: Settings) -> None:
        self.predictor = predictor
        self.settings = settings
        self.metrics = Metrics()
        self.state = State.LOADING
        self.failure = ""
        self.on_ready: Callable[[], None] | None = None
        self.on_failure: Callable[[], None] = self.log_failure
        """Called when the service fails: whoever owns the engine reports it, once."""
        self.service_time = ServiceTime(settings.codec_threads)
        self.share = FairShare()
        bounds = settings.max_inflight_jobs, settings.max_inflight_pixels
        self.budget = Budget(*bounds, self.service_time, self.share.is_ahead)
        self.rate_limit = RateLimit(settings.rate_limit_megapixels_per_minute)
        self.pacer = Pacer(self.share)
        self.worker = Worker(predictor, settings, self.metrics, self.service_time, self.share)
        self._decoded_slots = FairSlots(self.share, settings.max_decoded_images, at_most_half=True)
        limits = settings.codec_timeout_s, self._fail
        self._codec_pool = FairPool(self.share, "codec", settings.codec_threads, *limits)
        self._probe_pool = FairPool(self.share, "probe", _PROBE_THREADS, *limits)
        self.parser = FairPool(self.share, "parser", 1, *limits)  # memory need not bear more bodies
        self._pools = self._codec_pool, self._probe_pool, self.parser
        self._codec: Codec = ThreadCodec()
        self._jobs: dict[asyncio.Task[Encoded], Job] = {}  # in the order they came
        self._supervisor: asyncio.Task[None] | None = None
        self._stopping = False
        self.work_left = False
        """Whether threads may still be at work; False after a `stop` that ended all of them."""

    @property
    def idle(self) -> bool:
        """Whether no job is running."""
        return not self._jobs

    @property
    def alive(self) -> bool:
        """Whether the worker runs and nothing has failed; what livez shows."""
        supervised = self._supervisor is not None and not self._supervisor.done()
        return supervised and self.state is not State.FAILED

    @property
    def stuck_threads(self) -> int:
        """Threads that have not come back from an image in time."""
        return sum(pool.stuck for pool in self._pools)

    def start(self) -> None:
        """Start to load the model; returns at once, `state` tells when it is ready."""
        self.work_left = True
        self._supervisor = asyncio.create_task(self._supervise())
        self._supervisor.add_done_callback(self._supervised)

    def drain(self) -> None:
        """Admit no further jobs."""
        if self.state is not State.FAILED:
            self.state = State.DRAINING

    async def stop(self) -> None:
        """Free the model once the jobs that are still running have ended.

        The server has answered every request by now. Nobody waits for the jobs that still run, so
        they get only a few seconds.
        """
        self.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                if self._jobs:
                    await asyncio.wait(self._jobs)
                await self._stop_worker()
        self.abandon()
        for pool in self._pools:
            pool.close()
        self._codec.close()

    async def _stop_worker(self) -> None:
        self.abandon()
        if self._supervisor is not None:
            await asyncio.wait({self._supervisor})
        if self.state is not State.FAILED:
            await self.worker.close()
            self.work_left = self.stuck_threads > 0

    def abandon(self) -> None:
        """End without waiting for anything, not even for a model that is being loaded."""
        self._stopping = True
        if self._supervisor is not None:
            self._supervisor.cancel()

    async def _supervise(self) -> None:
        """Load, then run forever; whatever ends this ends the service."""
        try:
            await self.worker.load()
            self._codec = await select_codec(self.settings, self.predictor.device)
        except RmbgError as error:
            return self._fail(str(error))
        except Exception as error:
            log.exception("the model does not load")
            return self._fail(f"the model does not load: {error}")
        self.metrics.name_model(self.predictor)
        try:
            if self.state is State.LOADING:
                self.state = State.READY
                if self.on_ready is not None:
                    self.on_ready()
            await self.worker.run()
        except (RmbgError, TimeoutError) as error:
            return self._fail(str(error))
        except Exception as error:
            log.exception("the worker ended")
            return self._fail(f"the worker ended: {error}")

    def _supervised(self, _: asyncio.Task[None]) -> None:
        """However the supervisor ends, a service without a worker has failed."""
        if not self._stopping and self.state is not State.FAILED:
            self._fail("the worker ended without an error")

    def _fail(self, reason: str) -> None:
        self.state = State.FAILED
        self.failure = reason
        self.worker.refuse_all(self.not_ready())
        self.on_failure()

    def log_failure(self) -> None:
        """Report a failure in the log."""
        log.critical("the service has failed: %s", self.failure)

    def require_ready(self) -> None:
        """Raise `NotReady` in any state but READY."""
        if self.state is not State.READY:
            raise self.not_ready()

    def not_ready(self) -> NotReady:
        """The error that says in which state the service is."""
        if self.state is State.LOADING:
            return NotReady("the model is still loading", _RETRY_AFTER_RESTART_S)
        if self.state is State.DRAINING:
            return NotReady("the service is shutting down", _RETRY_AFTER_RESTART_S)
        return NotReady("the service has failed and must be restarted", _RETRY_AFTER_RESTART_S)

    async def probe(self, data: bytes, visit: Visit) -> ImageInfo:
        """Read the image's header off the event loop; see `imaging.probe`."""
        pixels, side = self.settings.max_image_pixels, self.settings.max_image_side
        return await self._probe_pool.run_for(visit, lambda: probe(data, pixels, side))

    async def create_job(
        self,
        data: bytes,
        files: Files,
        options: RemovalOptions,
        *,
        deadline: float,
        timings: StageTimings | None = None,
        visit: Visit | None = None,
    ) -> Job:
        """A job for an image and the `files` that come with it, their headers read.

        Raises `InvalidImage`, `ImageTooLarge` (also for the canvas of the result) or
        `NoMattingModel`.
        """
        require_accepted_canvas(options, self.settings.max_image_pixels)
        require_matting_model(options, self.predictor)
        visit = visit or Visit(self.share, "")
        info = await self.probe(data, visit)
        attachments = {}
        for name, file in files.items():
            try:
                attachments[name] = Attachment(file, await self.probe(file, visit))
                require_shape(name, attachments[name].info, info)
            except (InvalidImage, ImageTooLarge) as error:
                raise named(name, error) from None
        return Job(
            data=data,
            info=info,
            options=options,
            deadline=deadline,
            visit=visit,
            attachments=attachments,
            timings=timings or StageTimings(),
        )

    def reserved_pixels(self, job: Job) -> int:
        """The pixels to reserve before `job` is submitted."""
        limit = self.settings.max_image_pixels
        attached = [file.info for file in job.attachments.values()]
        return reserved_pixels(job.info, attached, job.options, limit)

    def submit(self, job: Job) -> asyncio.Task[Encoded]:
        """Start `job`; whoever has reserved its pixels holds them until the task has ended."""
        task = asyncio.create_task(self._process(job))
        self._jobs[task] = job
        task.add_done_callback(self._forget)
        return task

    def jobs_ahead(self, timings: StageTimings) -> int:
        """How many jobs came before the one with these `timings` and have no matte yet.

        A request that is still being read has no job: all jobs are ahead of it.
        """
        earlier = takewhile(lambda job: job.timings is not timings, self._jobs.values())
        return sum(job.timings.stage in _BEFORE_THE_MATTE for job in earlier)

    def _forget(self, task: asyncio.Task[Encoded]) -> None:
        del self._jobs[task]
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not report an abandoned job's error

    async def _process(self, job: Job) -> Encoded:
        waiting_since, client = time.perf_counter(), job.visit.client
        job.timings.stage = "queue"
        with self.share.at_work(client):
            async with self._decoded_slots.slot(client):
                job.timings.add("queue", time.perf_counter() - waiting_since)
                result = await self._drive(job)
        stages = job.timings.seconds
        if job.needs_prediction:
            self.service_time.observe_predict(job.predictor_s)
        self.service_time.observe_codec(sum(stages[s] for s in ("decode", "refine", "encode")))
        return result

    async def _drive(self, job: Job) -> Encoded:
        """Run the job's steps in the codec pool and its predictions through the queue."""
        sizes = self.predictor.input_size, self.settings.max_image_pixels
        mattes: list[Matte] | None = None
        with self._codec.work_on(job, *sizes) as advance:
            while True:
                try:
                    with self.worker.expecting(job):
                        step = await self._codec_pool.run_for(job.visit, partial(advance, mattes))
                except StuckThread as stuck:
                    self.budget.hold_pixels(self.reserved_pixels(job), until=stuck.ended)
                    raise
                if isinstance(step, Encoded):
                    return step
                mattes = await self.worker.predict(job, step)
                del step  # its inputs are not needed any more
