"""POST /api/remove-bg."""

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from rmbg_service.api.body.reading import BINARY, ParsingThread
from rmbg_service.api.execution import run_job
from rmbg_service.api.guard import Guard, guarded
from rmbg_service.api.native import request as wire
from rmbg_service.api.native import response as answer
from rmbg_service.api.native.problems import MEDIA_TYPE, Problem
from rmbg_service.api.negotiation import Accept
from rmbg_service.api.request_record import RequestRecord
from rmbg_service.imaging.encode import ENCODERS
from rmbg_service.removal.attachments import DESCRIPTIONS
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.serving.engine import Engine

PATH = "/api/remove-bg"
_REF = "#/components/schemas/{model}"
_OPTIONS = RemovalOptions.model_json_schema(ref_template=_REF)["properties"]


def remove_bg_router(engine: Engine, parsing: ParsingThread) -> APIRouter:
    """The route that runs one removal."""
    router = APIRouter(tags=["removal"])

    @router.post(
        PATH,
        response_class=Response,
        dependencies=guarded(Guard()),
        responses=_responses(),
        openapi_extra={"requestBody": _request_body(), "parameters": _parameters()},
    )
    async def remove_bg(request: Request) -> Response:
        """Remove the background of one image.

        Send it as JSON with base64, as multipart/form-data, or as the file itself, and the options
        in the same form or in the query. The response is JSON with base64, or the file itself if
        `Accept` asks for an image.
        """
        record: RequestRecord = request.state.record
        accept = Accept.of(request.headers)
        with record.timings.measure("read"):
            removal = await wire.read_request(request, accept, parsing)
        predicted = "matte" not in removal.files
        running = run_job(request, engine, removal)
        del removal  # so that nothing but the job holds the file
        result = await running
        if not predicted:
            return answer.respond(accept, result, record, {}, None)
        name = engine.predictor.name
        headers = {
            "X-RMBG-Model": quote(name, ":/", errors="replace"),
            "X-RMBG-Model-License": engine.licence,
        }
        return answer.respond(accept, result, record, headers, name)

    return router


def _request_body() -> dict[str, Any]:
    json_schema = wire.JsonRemovalRequest.model_json_schema(ref_template=_REF)
    form = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "image": BINARY | {"description": "The image file; `file` is accepted, too."},
            "file": BINARY | {"description": "The same under another name."},
            "image_base64": {"type": "string", "description": "Or the file as base64 text."},
            **{name: BINARY | {"description": text} for name, text in DESCRIPTIONS.items()},
            **_OPTIONS,
        },
        "oneOf": [{"required": [name]} for name in ("image", "file", "image_base64")],
    }
    return {
        "required": True,
        "content": {
            "application/json": {"schema": json_schema},
            "multipart/form-data": {"schema": form},
            "image/*": {"schema": BINARY},
        },
    }


def _parameters() -> list[dict[str, Any]]:
    options = [
        {
            "name": name,
            "in": "query",
            "required": False,
            "schema": {key: value for key, value in schema.items() if key != "description"},
            "description": schema["description"],
        }
        for name, schema in _OPTIONS.items()
    ]
    return [
        *options,
        {
            "name": "Prefer",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "pattern": "^wait=[1-9][0-9]{0,5}$"},
            "description": "`wait=SECONDS` (RFC 7240): the longest this client will wait. If the "
            "estimated wait is longer, the response is 429 at once.",
            "example": "wait=20",
        },
        {
            "name": "X-Request-ID",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
            "description": "Your own id for this request; it is returned and logged.",
        },
    ]


def _responses() -> dict[int | str, dict[str, Any]]:
    text = {"schema": {"type": "string"}}
    request_id = {"X-Request-ID": text | {"description": "Id of this request in the log."}}
    retry = {
        "Retry-After": {
            "schema": {"type": "integer", "minimum": 1},
            "description": "Seconds after which to try again.",
        }
    }
    ok_headers = request_id | {
        "Server-Timing": text | {"description": "Milliseconds in each stage."},
        "X-RMBG-Box": text | {"description": "left,top,width,height of the subject, in px."},
        "X-RMBG-Confidence": text | {"description": "How certain the network was, 0 to 1."},
        "X-RMBG-Shadow": text
        | {"description": "`keep` or `drop` with density and confidence, or `none` and a reason."},
        "X-RMBG-Shadow-Box": text | {"description": "left,top,width,height of the shadow, in px."},
        "X-RMBG-Animated": text | {"description": "`first-frame-only` for an animated input."},
        "X-RMBG-Model": text
        | {"description": "The model that predicted the matte, percent-encoded; not with `matte`."},
        "X-RMBG-Model-License": text | {"description": "SPDX licence of its weights."},
    }
    responses: dict[int | str, dict[str, Any]] = {
        200: {
            "model": answer.RemovalResponse,
            "description": "The cutout.",
            "headers": ok_headers,
            "content": {
                **{encoder.media_type: {"schema": BINARY} for encoder in ENCODERS.values()},
            },
        }
    }
    for status, description in {
        400: "The body, a field or an option is invalid.",
        401: "An API key is required.",
        408: "The body did not arrive in time.",
        413: "More bytes or pixels than this service accepts.",
        415: "The Content-Type is not supported.",
        422: "Not a readable image of an accepted format.",
        429: "Overloaded, or the rate limit of this key is reached; see `Retry-After`.",
        500: "The model failed on this image.",
        503: "Loading, shutting down, failed, or out of device memory.",
        504: "Not finished before the deadline.",
    }.items():
        responses[status] = {
            "description": description,
            "headers": request_id | (retry if status in (429, 503) else {}),
            "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema(ref_template=_REF)}},
        }
    return responses
