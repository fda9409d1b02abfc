"""What the OpenAPI document says of rembg's API."""

from functools import partial
from typing import Any

from rmbg_service.api.rembg.errors import RembgError
from rmbg_service.api.rembg.parameters import RembgParameters
from rmbg_service.api.schemas import (
    BINARY,
    RETRY_AFTER,
    Schemas,
    error,
    model_components,
    query_parameters,
    ref,
    request_properties,
)

_PROPERTIES, _LISTS = request_properties(RembgParameters, "Rembg")
_FILE = {"file": BINARY | {"description": "The image file."}}

COMPONENTS: Schemas = {
    "RembgForm": {"type": "object", "properties": _FILE | _PROPERTIES, "required": ["file"]},
    **model_components(RembgError),
    **_LISTS,
}
"""The schemas that the routes refer to."""

REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {"multipart/form-data": {"schema": ref("RembgForm")}},
}
QUERY = query_parameters(_PROPERTIES, _LISTS)
"""The parameters of both routes; those of a form come before those of the query."""
URL_QUERY: list[dict[str, Any]] = [
    {
        "name": "url",
        "in": "query",
        "required": True,
        "schema": {"type": "string"},
        "description": "Where to fetch the image; only with `RMBG_URL_FETCH=on`.",
    },
    *QUERY,
]
_error = partial(error, RembgError)


RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The cutout, or the mask with `om`.",
        "content": {"image/png": {"schema": BINARY}},
    },
    400: _error("The URL is not fetched, or nothing usable is behind it."),
    401: _error("An API key is required."),
    408: _error("The body did not arrive in time."),
    413: _error("More bytes or pixels than this service accepts."),
    415: _error("The Content-Type is not supported."),
    422: _error("A parameter is invalid, the model is not loaded, or the image cannot be read."),
    429: _error("Overloaded, or the rate limit of this key is reached.", RETRY_AFTER),
    500: _error("The model failed on this image."),
    503: _error("Loading, shutting down, failed, or out of device memory.", RETRY_AFTER),
    504: _error("Not finished before the deadline."),
}
