"""Errors in the envelope of the remove.bg API, with its codes and its statuses."""

import json
import math
import time
from collections.abc import Callable
from http import HTTPStatus

from fastapi import Request
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from rmbg_service.api.request_record import RequestRecord
from rmbg_service.errors import (
    BeyondFormat,
    BodyTooLarge,
    ClientError,
    EmptyImage,
    ImageTooLarge,
    InvalidImage,
    InvalidRegion,
    NoSubject,
    NotFound,
    Overloaded,
    Rejected,
    RmbgError,
    Unauthorized,
    UnknownFormat,
    UnsupportedMediaType,
    UploadTimeout,
)
from rmbg_service.serving.engine import Engine
from rmbg_service.serving.rate_limit import Allowance

TITLES = {
    "missing_source": "No image given",
    "multiple_sources": "Multiple image sources given",
    "invalid_image_url": "Invalid image_url given",
    "failed_image_download": "Failed to download the image",
    "failed_to_read_image": "Failed to read the image",
    "file_too_large": "File too large",
    "invalid_file_type": "Invalid file type",
    "invalid_dimensions": "Invalid image dimensions",
    "resolution_too_high": "Resolution too high",
    "unknown_foreground": "Could not identify a foreground in the image",
    "multiple_bg_sources": "Multiple background sources given",
    "invalid_bg_image_url": "Invalid bg_image_url given",
    "failed_bg_download": "Failed to download the background image",
    "roi_exceeds_bounds": "Region of interest exceeds the image",
    "roi_region_empty": "Region of interest is empty",
    "auth_failed": "API key missing or invalid",
    "rate_limit_exceeded": "Rate limit exceeded",
}
"""What each code says; those of a parameter, such as `invalid_size`, are made from its name."""


class RemoveBgErrorItem(BaseModel):
    """One error."""

    title: str = Field(description="What happened.", examples=["Invalid size given"])
    code: str | None = Field(
        default=None, description="Its stable name.", examples=["invalid_size"]
    )
    detail: str | None = Field(default=None, description="What was wrong with this request.")


class RemoveBgErrors(BaseModel):
    """What every failed request gets."""

    errors: list[RemoveBgErrorItem]


class RemoveBgError(ClientError):
    """An error that only this API tells apart, by its `code`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def error_response(engine: Engine) -> Callable[[Request, Exception], Response]:
    """What answers an error of this API."""

    def respond(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):  # the router's own: 404, 405
            title = HTTPStatus(error.status_code).phrase
            return _envelope(error.status_code, title, None, None, dict(error.headers or {}))
        status, code = _status_and_code(error)
        title = _title(code) if code else HTTPStatus(status).phrase
        detail = str(error) if isinstance(error, RmbgError) else None
        headers = {}
        if isinstance(error, Rejected):
            headers = {"Retry-After": str(error.retry_after_s)}
            headers |= rate_headers(engine, request.state.record, refused=True)
        return _envelope(status, title, code, detail, headers)

    return respond


def _envelope(
    status: int, title: str, code: str | None, detail: str | None, headers: dict[str, str]
) -> Response:
    item = {"title": title, "code": code, "detail": detail}
    body = {"errors": [{name: value for name, value in item.items() if value}]}
    return Response(
        json.dumps(body, ensure_ascii=False), status, headers, "application/json; charset=utf-8"
    )


def rate_headers(engine: Engine, record: RequestRecord, *, refused: bool = False) -> dict[str, str]:
    """Megapixels the client may send, those left, and the unix time when all of them are there.

    Without a rate limit they are those that the service holds in flight for all clients together,
    the request's own being free again when its answer is there; none is left to a `refused` one.
    """
    allowance = engine.rate_limit.allowance(record.client)
    if allowance is None:
        budget = engine.budget
        own = 0 if record.reservation is None else record.reservation.pixels
        left = 0 if refused else budget.max_pixels - budget.pixels + own
        allowance = Allowance(budget.max_pixels // 10**6, left // 10**6, budget.estimated_wait_s)
    limit, remaining, reset_s = allowance
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(math.ceil(time.time() + reset_s)),  # noqa: TID251 - the API wants a Unix time
    }


def _status_and_code(error: Exception) -> tuple[int, str | None]:
    match error:
        case RemoveBgError():
            return 400, error.code
        case NotFound():
            return 404, None
        case Unauthorized():
            return 403, "auth_failed"
        case Overloaded():
            return 429, "rate_limit_exceeded"
        case UploadTimeout():
            return 408, None
        case BodyTooLarge():
            return 400, "file_too_large"
        case ImageTooLarge():
            return 400, "resolution_too_high"
        case UnknownFormat():
            return 400, "invalid_file_type"
        case EmptyImage() | BeyondFormat():
            return 400, "invalid_dimensions"
        case InvalidImage():
            return 400, "failed_to_read_image"
        case InvalidRegion():
            return 400, "roi_exceeds_bounds" if error.reason == "exceeds" else "roi_region_empty"
        case NoSubject():
            return 400, "unknown_foreground"
        case UnsupportedMediaType():
            return 400, "missing_source"
        case ClientError():
            return 400, None
        case RmbgError():
            return error.status, None
        case _:
            return 500, None


def _title(code: str) -> str:
    return TITLES.get(code) or f"Invalid {code.removeprefix('invalid_')} given"
