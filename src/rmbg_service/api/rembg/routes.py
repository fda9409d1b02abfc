"""GET and POST /api/remove: rembg's HTTP API, for its existing clients.

The contract is what `rembg s` of version 2.0.86 serves. docs/migrate-from-rembg.md lists what
differs.
"""

from fastapi import APIRouter, Request
from starlette.responses import Response

from rmbg_service.api.execution import run_job
from rmbg_service.api.guard import Guard, guarded
from rmbg_service.api.rembg import request as wire
from rmbg_service.api.rembg.description import QUERY, REQUEST_BODY, RESPONSES, URL_QUERY
from rmbg_service.api.request_record import RequestRecord
from rmbg_service.api.streaming import StreamedResponse
from rmbg_service.removal.result import Encoded
from rmbg_service.serving.engine import Engine
from rmbg_service.url_fetch import Fetcher

PATH = "/api/remove"


def rembg_router(engine: Engine, fetcher: Fetcher | None) -> APIRouter:
    """The two routes; without a `fetcher` no URL is fetched."""
    router = APIRouter(tags=["rembg"])

    @router.get(
        PATH,
        dependencies=guarded(Guard()),
        response_class=Response,
        responses=RESPONSES,
        openapi_extra={"parameters": URL_QUERY},
    )
    async def rembg_url(request: Request) -> Response:
        """Remove the background of the image behind a URL, as rembg does."""
        record: RequestRecord = request.state.record
        with record.timings.measure("read"):
            removal = await wire.read_url_request(
                request, fetcher, engine.predictor.name, engine.settings.max_body_bytes
            )
        running = run_job(request, engine, removal)
        del removal  # so that nothing but the job holds the file
        return _respond(await running)

    @router.post(
        PATH,
        dependencies=guarded(Guard()),
        response_class=Response,
        responses=RESPONSES,
        openapi_extra={"parameters": QUERY, "requestBody": REQUEST_BODY},
    )
    async def rembg_file(request: Request) -> Response:
        """Remove the background of the image in the form, as rembg does."""
        record: RequestRecord = request.state.record
        with record.timings.measure("read"):
            removal = await wire.read_file_request(request, engine.parser, engine.predictor.name)
        running = run_job(request, engine, removal)
        del removal  # so that nothing but the job holds the file
        return _respond(await running)

    return router


def _respond(result: Encoded) -> Response:
    return StreamedResponse([result.data], {}, result.media_type)
