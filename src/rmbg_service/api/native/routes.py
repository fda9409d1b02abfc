"""POST /api/remove-bg."""

from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from rmbg_service.api.execution import run_job
from rmbg_service.api.guard import Guard, guarded
from rmbg_service.api.native import request as wire
from rmbg_service.api.native import response as answer
from rmbg_service.api.native.description import PARAMETERS, REQUEST_BODY, RESPONSES
from rmbg_service.api.negotiation import Accept
from rmbg_service.api.request_record import RequestRecord
from rmbg_service.serving.engine import Engine

PATH = "/api/remove-bg"


def remove_bg_router(engine: Engine) -> APIRouter:
    """The route that runs one removal."""
    router = APIRouter(tags=["removal"])

    @router.post(
        PATH,
        response_class=Response,
        dependencies=guarded(Guard()),
        responses=RESPONSES,
        openapi_extra={"requestBody": REQUEST_BODY, "parameters": PARAMETERS},
    )
    async def remove_background(request: Request) -> Response:
        """Remove the background of one image.

        Send it as multipart/form-data, as the file itself, or as JSON with base64, and the options
        in the same form or in the query. The response is JSON with base64, or the file itself if
        `Accept` asks for an image.
        """
        record: RequestRecord = request.state.record
        accept = Accept.of(request.headers)
        with record.timings.measure("read"):
            removal = await wire.read_request(request, accept, engine.parser)
        predicted = "matte" not in removal.files
        running = run_job(request, engine, removal)
        del removal  # so that nothing but the job holds the file
        result = await running
        if not predicted:
            return answer.respond(accept, result, record, {}, None)
        model = engine.predictor
        headers = {
            "X-RMBG-Model": quote(model.name, ":/", errors="replace"),
            "X-RMBG-Model-License": model.licence,
        }
        return answer.respond(accept, result, record, headers, model.name)

    return router
