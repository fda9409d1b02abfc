"""Removal in this process: the server's engine, without the server."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from rmbg_service.batch.removers.remover import Removed, RemoverFailed, RunStopped
from rmbg_service.models.predictor import Predictor
from rmbg_service.removal.attachments import Files
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.result import Encoded
from rmbg_service.serving.engine import Engine
from rmbg_service.serving.state import State
from rmbg_service.settings import Settings


class LocalRemover:
    """Runs an engine; the model is loaded for the first image that needs it.

    The engine holds at most `Settings.max_decoded_images` decoded images, and predicts one while it
    decodes and encodes others. One more image is in memory as a file, so that the engine never
    waits for the disk. `further` options make further files of the same prediction.
    """

    def __init__(
        self,
        engine: Engine,
        options: RemovalOptions,
        files: Files,
        stop: asyncio.Event,
        further: Sequence[RemovalOptions] = (),
    ) -> None:
        self.engine = engine
        self.max_bytes = engine.settings.max_body_bytes
        self.parallel = min(
            engine.settings.max_decoded_images + 1, engine.settings.max_inflight_jobs
        )
        self._options = options
        self._further = further
        self._files = files
        self._stop = stop
        self._loaded = asyncio.Event()
        self._started = False
        engine.on_ready = engine.on_failure = self._loaded.set  # a failure is raised, not logged

    @property
    def model(self) -> str:
        """See `Remover.model`; a copy of a known model has that one's name once it is loaded."""
        return self.engine.predictor.name

    async def remove(self, data: bytes) -> Removed:
        """See `Remover.remove`."""
        removing = self.encode(data, self._options, self._files)
        del data  # so that the file is freed as soon as it is decoded
        result = await removing
        return Removed(result.data, result.box, tuple(other.data for other in result.further))

    async def encode(
        self, data: bytes, options: RemovalOptions, files: Files | None = None
    ) -> Encoded:
        """The file that `options` ask for; raises what `Remover.remove` does."""
        creating = self.engine.create_job(data, files or {}, options, deadline=math.inf)
        del data  # so that the file is freed as soon as it is decoded
        job = await creating  # first: a broken file needs no model
        job.further = self._further
        if job.needs_prediction:
            await self.load()
        reservation = self.engine.budget.reserve(math.inf)
        running = self.engine.submit(job)
        reservation.release(after=running)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            job.abandoned = True  # it ends at its next stage
            raise
        except Exception:
            self._require_alive()
            raise

    async def load(self) -> None:
        """Wait until the model is loaded, as `remove` does. Raises `RemoverFailed`."""
        if not self._started:
            self._started = True
            self.engine.start()
        either = [asyncio.create_task(event.wait()) for event in (self._loaded, self._stop)]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in either:
                task.cancel()
        self._require_alive()
        if not self._loaded.is_set():
            raise RunStopped("stopped while the model was loading")

    def _require_alive(self) -> None:
        if self.engine.state is State.FAILED:
            raise RemoverFailed(self.engine.failure)

    async def close(self) -> None:
        """Free the model, unless it is still being loaded: that cannot be stopped."""
        if self._loaded.is_set() or not self._started:
            await self.engine.stop()
        else:
            self.engine.abandon()


@asynccontextmanager
async def local_remover(
    settings: Settings,
    predictor: Predictor,
    options: RemovalOptions,
    files: Files,
    stop: asyncio.Event,
    further: Sequence[RemovalOptions] = (),
) -> AsyncIterator[LocalRemover]:
    """A `LocalRemover` that is closed at the end."""
    remover = LocalRemover(Engine(predictor, settings), options, files, stop, further)
    try:
        yield remover
    finally:
        await remover.close()
