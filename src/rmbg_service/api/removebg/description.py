"""What the OpenAPI document says of the remove.bg API."""

from functools import partial
from typing import Any

from pydantic import BaseModel

from rmbg_service.api.removebg.errors import RemoveBgErrors
from rmbg_service.api.removebg.parameters import RemoveBgParameters
from rmbg_service.api.schemas import (
    BINARY,
    EXAMPLE_IMAGE,
    RETRY_AFTER,
    Schemas,
    error,
    model_components,
    ref,
    request_properties,
)


class RemoveBgResult(BaseModel):
    """The image as base64, and where the subject is in the image that was sent, in px."""

    result_b64: str
    foreground_top: int
    foreground_left: int
    foreground_width: int
    foreground_height: int


class RemoveBgResponse(BaseModel):
    """The result as JSON."""

    data: RemoveBgResult


_PROPERTIES, _LISTS = request_properties(RemoveBgParameters, "RemoveBg")
_URLS: Schemas = {
    "image_url": {
        "type": "string",
        "description": "Where to fetch the image; only with `RMBG_URL_FETCH=on`.",
    },
    "image_file_b64": {
        "type": "string",
        "description": "The image file as base64, or as a `data:` URI.",
    },
    "bg_image_url": {
        "type": "string",
        "description": "Where to fetch a background image; only with `RMBG_URL_FETCH=on`.",
    },
}
_FILES: Schemas = {
    "image_file": BINARY | {"description": "The image file."},
    "bg_image_file": BINARY | {"description": "A background image as a file."},
}
COMPONENTS: Schemas = {
    "RemoveBgForm": {"type": "object", "properties": _FILES | _URLS | _PROPERTIES},
    "RemoveBgFields": {"type": "object", "properties": _URLS | _PROPERTIES},
    **model_components(RemoveBgErrors),
    **_LISTS,
}
"""The schemas that the routes refer to."""
_TEXT_BODY = {
    "schema": ref("RemoveBgFields"),
    "example": {"image_file_b64": EXAMPLE_IMAGE, "size": "auto"},
}
REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "description": "Exactly one of `image_file`, `image_url` and `image_file_b64`, and at most one "
    "of `bg_color`, `bg_image_file` and `bg_image_url`. Files need `multipart/form-data`.",
    "content": {
        "multipart/form-data": {"schema": ref("RemoveBgForm")},
        "application/json": _TEXT_BODY,
        "application/x-www-form-urlencoded": _TEXT_BODY,
    },
}
_RATE_HEADERS = {
    name: {"schema": {"type": "integer"}, "description": description}
    for name, description in {
        "X-RateLimit-Limit": "Megapixels that may be sent in a minute.",
        "X-RateLimit-Remaining": "Those that are left.",
        "X-RateLimit-Reset": "Unix time in seconds when all of them are available again.",
    }.items()
}
_RESULT_HEADERS = _RATE_HEADERS | {
    name: {"schema": {"type": "integer"}, "description": description}
    for name, description in {
        "X-Width": "Width of the result in px.",
        "X-Height": "Height of the result in px.",
        "X-Max-Width": "Width in px that `size=auto` gives.",
        "X-Max-Height": "Height in px that `size=auto` gives.",
        "X-Credits-Charged": "Always 0.",
        "X-Foreground-Top": "Top of the subject in the image that was sent, in px.",
        "X-Foreground-Left": "Its left side.",
        "X-Foreground-Width": "Its width.",
        "X-Foreground-Height": "Its height.",
    }.items()
}
_error = partial(error, RemoveBgErrors)


_SUBJECT_TYPE = {"X-Type": {"schema": {"type": "string"}, "description": "Always `other`."}}
_MEDIA_TYPES = ("image/png", "image/jpeg", "image/webp", "application/zip")

ACCOUNT_RESPONSES: dict[int | str, dict[str, Any]] = {
    403: _error("The key is missing or wrong: `auth_failed`.")
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": RemoveBgResponse,
        "description": "The cutout.",
        "headers": _RESULT_HEADERS | _SUBJECT_TYPE,
        "content": {media_type: {"schema": BINARY} for media_type in _MEDIA_TYPES},
    },
    400: _error("The request, a parameter or the image cannot be used; see `code`."),
    **ACCOUNT_RESPONSES,
    408: _error("The body did not arrive in time."),
    429: _error("Too many megapixels, or overloaded.", RETRY_AFTER | _RATE_HEADERS),
    500: _error("The model failed on this image."),
    503: _error("Loading, shutting down, failed, or out of device memory.", RETRY_AFTER),
    504: _error("Not finished before the deadline."),
}
