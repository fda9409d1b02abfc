"""What a service responded: a cutout, or an error that says whether to try again."""

import re
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import unquote

import httpx
from pydantic import BaseModel, ValidationError

from rmbg_service.client.errors import ServiceError, ServiceUnavailable
from rmbg_service.types import Box

_UNAVAILABLE = (408, 502, 503, 504)


class Model(BaseModel):
    """The model of a service."""

    name: str


class Limits(BaseModel):
    """What a service accepts: bytes of a body, requests at once, and its times in seconds."""

    max_body_bytes: int
    max_inflight_jobs: int
    request_timeout_s: float
    upload_timeout_s: float


class Info(BaseModel):
    """What a service says about itself (`GET /api/info`)."""

    model: Model
    limits: Limits


@dataclass(frozen=True)
class Result:
    """A finished file.

    `box` is the subject's box in the upright input in px, None if there is no subject; `confidence`
    says how certain the network was, 0 to 1; `model` predicted the matte.
    """

    data: bytes
    media_type: str
    box: Box | None
    confidence: float | None
    model: str
    request_id: str


def read_result(response: httpx.Response, request_id: str) -> Result:
    """The cutout. Raises `ServiceUnavailable` if it can be sent again, else `ServiceError`."""
    if response.status_code != 200:
        _refuse(response, request_id)
    media_type = response.headers.get("content-type", "").partition(";")[0].strip()
    if not (media_type.startswith("image/") or media_type == "application/zip"):
        _expected(f"an image, got {media_type!r}", request_id)
    if not response.content:
        _expected("an image, got nothing", request_id)
    return Result(
        response.content,
        media_type,
        _box(response.headers.get("x-rmbg-box", "")),
        _number(response.headers.get("x-rmbg-confidence", "")),
        unquote(response.headers.get("x-rmbg-model", "")),
        response.headers.get("x-request-id", request_id),
    )


def read_info(response: httpx.Response) -> Info:
    """The facts about the service. Raises as `read_result`."""
    if response.status_code != 200:
        _refuse(response, "")
    try:
        return Info.model_validate_json(response.content)
    except ValidationError:
        _expected("the facts about an rmbg-service", "")


def lost(error: httpx.RequestError, request_id: str) -> ServiceError:
    """The error of an attempt that got no response, or one that cannot be decoded."""
    reason = str(error) or type(error).__name__
    if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
        return ServiceError(f"the request cannot be sent: {reason}", request_id=request_id)
    return ServiceUnavailable(f"no response: {reason}", request_id=request_id)


def _refuse(response: httpx.Response, request_id: str) -> NoReturn:
    try:
        members = response.json()
        detail, problem = str(members["detail"]), str(members.get("type", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        detail, problem = f"the service responded with {response.status_code}", ""
    status = response.status_code
    if status == 429 or status in _UNAVAILABLE:
        raise ServiceUnavailable(
            detail,
            status_code=status,
            problem=problem,
            request_id=request_id,
            retry_after_s=_seconds(response.headers.get("retry-after", "")),
        )
    raise ServiceError(detail, status_code=status, problem=problem, request_id=request_id)


def _expected(what: str, request_id: str) -> NoReturn:
    raise ServiceError(
        f"expected {what}: check the URL of the service", status_code=200, request_id=request_id
    )


def _seconds(retry_after: str) -> int:
    return int(retry_after) if re.fullmatch("[0-9]{1,9}", retry_after) else 0


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _box(text: str) -> Box | None:
    try:
        left, top, width, height = map(int, text.split(","))
    except ValueError:
        return None
    return Box(left, top, left + width, top + height)
