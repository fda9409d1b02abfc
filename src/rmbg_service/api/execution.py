"""From an understood request to a finished job, for every route that runs one."""

import asyncio
import time
from typing import TypeVar

from fastapi import Request
from starlette.types import Receive

from rmbg_service.api.gate import ClientGone
from rmbg_service.api.native.request import RemovalRequest
from rmbg_service.api.record import RequestRecord
from rmbg_service.errors import ClientError, DeadlineExceeded, ImageTooLarge, InvalidImage
from rmbg_service.removal import pipeline
from rmbg_service.removal.pipeline import Encoded
from rmbg_service.serving.engine import Engine
from rmbg_service.serving.job import Job

_T = TypeVar("_T")


async def run_job(request: Request, engine: Engine, removal: RemovalRequest) -> Encoded:
    """Reserve the picture's pixels, run the job, and stop waiting when the client leaves.

    Raises `InvalidImage`, `ImageTooLarge`, `Overloaded`, `DeadlineExceeded` or what the job
    raised; `ClientGone` when nobody is left to be answered.
    """
    record: RequestRecord = request.state.record
    assert record.reservation is not None, "the gate guards this route"
    record.info = await engine.probe(removal.data)
    limit = engine.settings.max_image_pixels
    record.reservation.grow(pipeline.reserved_pixels(record.info, removal.options, limit))
    background_info, pixels = None, record.info.pixels
    if removal.background is not None:
        try:
            background_info = await engine.probe(removal.background)
        except (InvalidImage, ImageTooLarge) as error:
            raise type(error)(f"the background: {error}") from None
        record.reservation.grow(background_info.pixels)
        pixels += background_info.pixels
    engine.rate_limit.take(record.client, pixels)
    job = Job(
        data=removal.data,
        info=record.info,
        background=removal.background,
        background_info=background_info,
        options=removal.options,
        deadline=record.deadline,
        reservation=record.reservation,
        stamps=record.stamps,
    )
    del removal  # the job lets go of the file as soon as it is decoded
    running = engine.submit(job)
    try:
        return await while_wanted(request, running)
    except Exception as error:
        if _is_ours(error, record):
            engine.rate_limit.give_back(record.client, pixels)
        raise
    finally:
        job.abandoned = not running.done()  # the job ends by itself and keeps its memory till then


def _is_ours(error: Exception, record: RequestRecord) -> bool:
    """Whether the service has failed, and not the client or its patience."""
    if isinstance(error, DeadlineExceeded):
        return record.time_limit_s < record.wait_limit_s
    return not isinstance(error, ClientError | ClientGone)


async def while_wanted(request: Request, work: "asyncio.Task[_T]") -> _T:
    """What `work` gives, while its client is there and in time; the body has been read.

    Raises `ClientGone` when the client leaves, `DeadlineExceeded` at its deadline; `work` goes on.
    """
    record: RequestRecord = request.state.record
    left = record.deadline - time.monotonic()
    gone = asyncio.create_task(_disconnected(request.receive))
    try:
        await asyncio.wait({work, gone}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        if gone.done():
            raise ClientGone
        raise DeadlineExceeded(f"not finished within {record.time_limit_s:g} s")
    finally:
        gone.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
