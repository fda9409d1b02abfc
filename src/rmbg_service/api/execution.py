"""From an understood request to a finished job, for every route that runs one."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fastapi import Request
from starlette.types import Receive

from rmbg_service.api.exchange import ClientGone
from rmbg_service.api.request_record import RequestRecord
from rmbg_service.errors import ClientError, DeadlineExceeded
from rmbg_service.removal.attachments import Files
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.result import Encoded
from rmbg_service.serving.engine import Engine
from rmbg_service.url_fetch import Fetcher, FetchRefused

_T = TypeVar("_T")


@dataclass(frozen=True)
class RemovalRequest:
    """What every wire API makes of a body: an undecoded image, options and further images."""

    data: bytes
    options: RemovalOptions
    files: Files = field(default_factory=dict)


async def run_job(request: Request, engine: Engine, removal: RemovalRequest) -> Encoded:
    """Reserve the image's pixels, run the job, and stop waiting when the client leaves.

    The job ends by itself and keeps its memory until then. Raises `InvalidImage`, `ImageTooLarge`,
    `Overloaded`, `DeadlineExceeded` or what the job raised; `ClientGone` when nobody is left to be
    answered.
    """
    record: RequestRecord = request.state.record
    assert record.reservation is not None, "the gate guards this route"
    probing = asyncio.create_task(
        engine.create_job(
            removal.data,
            removal.files,
            removal.options,
            deadline=record.deadline,
            timings=record.timings,
            visit=record.visit,
        )
    )
    record.job = probing
    job = await while_wanted(request, probing)
    del probing, removal  # the job lets go of the file as soon as it is decoded
    record.info = job.info
    record.reservation.grow(engine.reserved_pixels(job))
    engine.rate_limit.take(record.client, job.pixels)
    record.job = engine.submit(job)
    try:
        return await while_wanted(request, record.job)
    except Exception as error:
        if _is_ours(error, record):
            engine.rate_limit.give_back(record.client, job.pixels)
        raise
    finally:
        job.abandoned = not record.job.done()


async def fetch_image(request: Request, fetcher: Fetcher | None, url: str, max_bytes: int) -> bytes:
    """The bytes behind `url`; fetching stops when the client leaves or its deadline passes.

    The body must have been read. Raises what `Fetcher.fetch` and `while_wanted` do, and
    `FetchRefused` without a `fetcher`.
    """
    if fetcher is None:
        raise FetchRefused("this service fetches nothing: send the file, or set RMBG_URL_FETCH=on")
    client = request.state.record.visit.client
    fetching = asyncio.create_task(fetcher.fetch(url, max_bytes, client))
    try:
        return await while_wanted(request, fetching)
    finally:
        fetching.cancel()


def _is_ours(error: Exception, record: RequestRecord) -> bool:
    """Whether the service has failed, and not the client or its patience."""
    if isinstance(error, DeadlineExceeded):
        return record.time_limit_s < record.wait_limit_s
    return not isinstance(error, ClientError | ClientGone)


async def while_wanted(request: Request, work: "asyncio.Task[_T]") -> _T:
    """The result of `work`, as long as the client waits and the deadline has not passed.

    The body must have been read. Raises `ClientGone` when the client leaves and `DeadlineExceeded`
    at the deadline; `work` goes on.
    """
    record: RequestRecord = request.state.record
    left = record.deadline - time.monotonic()
    work.add_done_callback(_retrieve_error)
    gone = asyncio.create_task(_disconnected(request.receive))
    try:
        await asyncio.wait({work, gone}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        if gone.done():
            raise ClientGone
        raise DeadlineExceeded("not finished within {limit:g} s", limit=record.time_limit_s)
    finally:
        gone.cancel()


def _retrieve_error(work: "asyncio.Task[Any]") -> None:
    """Keep asyncio from reporting an error of work that nobody waits for any more."""
    if not work.cancelled():
        work.exception()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
