"""From an understood request to a finished job, for every route that runs one."""

import asyncio
import time

from fastapi import Request
from starlette.types import Receive

from rmbg_service.api.gate import ClientGone
from rmbg_service.api.record import RequestRecord
from rmbg_service.api.wire import RemovalRequest
from rmbg_service.errors import DeadlineExceeded, InvalidImage
from rmbg_service.serving.engine import Engine
from rmbg_service.serving.job import Job
from rmbg_service.serving.pipeline import Encoded


async def run_job(request: Request, engine: Engine, removal: RemovalRequest) -> Encoded:
    """Reserve the picture's pixels, run the job, and stop waiting when the client leaves.

    Raises `InvalidImage`, `ImageTooLarge`, `Overloaded`, `DeadlineExceeded` or what the job
    raised; `ClientGone` when nobody is left to be answered.
    """
    record: RequestRecord = request.state.record
    assert record.reservation is not None, "the gate guards this route"
    timeout_s = min(engine.settings.request_timeout_s, record.wait_limit_s)
    deadline = time.monotonic() + timeout_s
    record.info = await engine.probe(removal.data)
    record.reservation.grow(record.info.pixels)
    background_info = None
    if removal.background is not None:
        try:
            background_info = await engine.probe(removal.background)
        except InvalidImage as error:
            raise type(error)(f"the background: {error}") from None
        record.reservation.grow(background_info.pixels)
    engine.rate_limit.take(record.client, record.info.pixels)
    job = Job(
        id=record.id,
        data=removal.data,
        info=record.info,
        background=removal.background,
        background_info=background_info,
        options=removal.options,
        deadline=deadline,
        reservation=record.reservation,
        stamps=record.stamps,
    )
    del removal  # the job lets go of the file as soon as it is decoded
    running = engine.submit(job)
    gone = asyncio.create_task(_disconnected(request.receive))
    try:
        await asyncio.wait(
            {running, gone},
            timeout=deadline - time.monotonic(),
            return_when=asyncio.FIRST_COMPLETED,
        )
        if running.done():
            return running.result()
        if gone.done():
            raise ClientGone
        raise DeadlineExceeded(f"not finished within {timeout_s:g} s")
    finally:
        job.abandoned = not running.done()  # the job ends by itself and keeps its memory till then
        gone.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
