"""What the OpenAPI document says of `POST /api/remove-bg`."""

from typing import Any, get_args

from rmbg_service.api.native.problems import MEDIA_TYPE, Problem
from rmbg_service.api.native.request import JsonRemovalRequest
from rmbg_service.api.native.response import RemovalResponse
from rmbg_service.api.schemas import (
    BINARY,
    EXAMPLE_IMAGE,
    RETRY_AFTER,
    Schema,
    Schemas,
    error,
    model_components,
    query_parameters,
    ref,
    request_properties,
)
from rmbg_service.imaging.encode import ENCODERS
from rmbg_service.messages import Language
from rmbg_service.removal.options import RemovalOptions

_PROPERTIES, _LISTS = request_properties(JsonRemovalRequest, "Removal")
_OPTIONS = {name: _PROPERTIES[name] for name in RemovalOptions.model_fields}
_IMAGES = {name: _PROPERTIES[name] for name in _PROPERTIES if name not in _OPTIONS}


def _body(description: str, images: Schemas) -> Schema:
    return {
        "type": "object",
        "description": description,
        "additionalProperties": False,
        "properties": images | _OPTIONS,
        "required": ["image"],
    }


def _base64(schema: Schema) -> Schema:
    return schema | {"description": f"{schema['description']} As base64, or as a `data:` URI."}


def _file(schema: Schema) -> Schema:
    return BINARY | {"description": schema["description"]}


COMPONENTS: Schemas = {
    **model_components(Problem),
    "JsonRemovalRequest": _body(
        "The images as base64 text, beside the options.",
        {name: _base64(schema) for name, schema in _IMAGES.items()},
    ),
    "FormRemovalRequest": _body(
        "The images as files, beside the options. In place of `image`, the file is also taken from "
        "a field `file`, or as base64 text from `image_base64`.",
        {name: _file(schema) for name, schema in _IMAGES.items()},
    ),
    **_LISTS,
}
"""The schemas that the native API's routes refer to."""

REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "description": "An image file of any other `image/*` type is taken as "
    "`application/octet-stream` is.",
    "content": {
        "multipart/form-data": {"schema": ref("FormRemovalRequest")},
        "application/octet-stream": {"schema": BINARY},
        "application/json": {
            "schema": ref("JsonRemovalRequest"),
            "example": {"image": EXAMPLE_IMAGE, "format": "png"},
        },
    },
}

ACCEPT_LANGUAGE: dict[str, Any] = {
    "name": "Accept-Language",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The language of `title` and `detail` in errors: English, or simplified Chinese "
    "for `zh-CN`.",
}
"""The header that every error of the native API heeds."""

PARAMETERS: list[dict[str, Any]] = [
    *query_parameters(_OPTIONS, _LISTS),
    {
        "name": "Prefer",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "pattern": "^wait=[1-9][0-9]{0,5}$"},
        "description": "`wait=SECONDS` (RFC 7240), such as `wait=20`: the longest this client will "
        "wait. If the estimated wait is longer, the response is 429 at once.",
    },
    {
        "name": "X-Request-ID",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        "description": "Your own id for this request; it is returned and logged.",
    },
    ACCEPT_LANGUAGE,
]

_TEXT: Schema = {"schema": {"type": "string"}}
_REQUEST_ID = {"X-Request-ID": _TEXT | {"description": "Id of this request in the log."}}
_LANGUAGE = {
    "Content-Language": {
        "schema": {"type": "string", "enum": list(get_args(Language))},
        "description": "The language of `title` and `detail`.",
    }
}
_RESULT_HEADERS = {
    "Server-Timing": "Milliseconds in each stage.",
    "X-RMBG-Box": "left,top,width,height of the subject, in px.",
    "X-RMBG-Confidence": "How certain the network was, 0 to 1.",
    "X-RMBG-Shadow": "`keep` or `drop` with density and confidence, or `none` and a reason.",
    "X-RMBG-Shadow-Box": "left,top,width,height of the shadow, in px.",
    "X-RMBG-Placement": "`fill` of the canvas, `factor` of the subject's size, and `limited` if it "
    "would have to be enlarged.",
    "X-RMBG-Animated": "`first-frame-only` for an animated input.",
    "X-RMBG-Model": "The model that predicted the matte, percent-encoded; not with `matte`.",
    "X-RMBG-Model-License": "SPDX licence of its weights.",
}
_ERRORS = {
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
}


def problem(description: str, headers: Schema | None = None) -> dict[str, Any]:
    """An error of the native API."""
    return error(Problem, description, _REQUEST_ID | _LANGUAGE | (headers or {}), MEDIA_TYPE)


RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": RemovalResponse,
        "description": "The cutout: as a file if `Accept` asks for one, else as JSON with base64.",
        "headers": _REQUEST_ID
        | {name: _TEXT | {"description": text} for name, text in _RESULT_HEADERS.items()},
        "content": {encoder.media_type: {"schema": BINARY} for encoder in ENCODERS.values()},
    },
    **{
        status: problem(description, RETRY_AFTER if status in (429, 503) else None)
        for status, description in _ERRORS.items()
    },
}
