"""POST /v1.0/removebg and GET /v1.0/account: the remove.bg API, for its existing clients.

The contract is remove.bg's public API documentation, version 1.0. docs/migrate-from-removebg.md
lists what differs.
"""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from rmbg_service.api.body.reading import BINARY, ParsingThread
from rmbg_service.api.execution import run_job
from rmbg_service.api.guard import Guard, guarded
from rmbg_service.api.negotiation import Accept
from rmbg_service.api.removebg import request as wire
from rmbg_service.api.removebg.errors import RemoveBgErrors, rate_headers
from rmbg_service.api.removebg.parameters import RemoveBgParameters
from rmbg_service.api.request_record import RequestRecord
from rmbg_service.api.streaming import Base64Text, StreamedResponse
from rmbg_service.api.url_fetch import Fetcher
from rmbg_service.removal.result import Encoded
from rmbg_service.serving.engine import Engine
from rmbg_service.types import Box

PREFIX = "/v1.0/"
_REMOVEBG = "/v1.0/removebg"
_ACCOUNT = "/v1.0/account"
_NOWHERE = Box(0, 0, 0, 0)
_SUBJECT_TYPE = "other"  # subjects are not classified


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


class Credits(BaseModel):
    """Nothing is charged, so all balances are 0."""

    total: float = 0
    subscription: float = 0
    payg: float = 0
    enterprise: float = 0


class ApiFacts(BaseModel):
    """What may be asked for."""

    free_calls: int = 0
    sizes: str = Field("all", description="Every size may be asked for.")


class AccountAttributes(BaseModel):
    """Exactly the members that the official clients expect."""

    credits: Credits = Credits()
    api: ApiFacts = ApiFacts()


class AccountData(BaseModel):
    """The account."""

    attributes: AccountAttributes = AccountAttributes()


class Account(BaseModel):
    """The account of whoever asks."""

    data: AccountData = AccountData()


def removebg_router(engine: Engine, parsing: ParsingThread, fetcher: Fetcher | None) -> APIRouter:
    """The two routes; without a `fetcher` no URL is fetched."""
    router = APIRouter(tags=["remove.bg"])
    settings = engine.settings

    @router.post(
        _REMOVEBG,
        dependencies=guarded(Guard(wait_limit_s=settings.removebg_wait_limit_s)),
        response_class=Response,
        responses=_responses(),
        openapi_extra={"requestBody": _request_body()},
    )
    async def removebg(request: Request) -> Response:
        """Remove the background of one image, by the contract of the remove.bg API.

        The answer is the file itself, or JSON with base64 when `Accept` asks for JSON alone.
        """
        record: RequestRecord = request.state.record
        accept = Accept.of(request.headers)
        with record.timings.measure("read"):
            parsed = await wire.read_request(
                request,
                parsing,
                fetcher,
                settings.removebg_default_size,
                settings.max_body_bytes,
            )
        type_level, running = parsed.parameters.type_level, run_job(request, engine, parsed.removal)
        del parsed  # so that nothing but the job holds the file
        result = await running
        headers = _headers(result) | rate_headers(engine, record)
        if type_level != "none":
            headers["X-Type"] = _SUBJECT_TYPE
        if not accept.prefers_json():
            return StreamedResponse([result.data], headers, result.media_type)
        box = result.box or _NOWHERE
        tail = (
            f'", "foreground_top": {box.top}, "foreground_left": {box.left}, '
            f'"foreground_width": {box.width}, "foreground_height": {box.height}}}}}'
        )
        parts: list[bytes | Base64Text] = [
            b'{"data": {"result_b64": "',
            Base64Text(result.data),
            tail.encode(),
        ]
        return StreamedResponse(parts, headers, "application/json")

    @router.get(
        _ACCOUNT, dependencies=guarded(Guard(runs_job=False)), responses=_account_responses()
    )
    async def account() -> Account:
        """Credits and free calls: there are none, because nothing is charged."""
        return Account()

    return router


def _headers(result: Encoded) -> dict[str, str]:
    box = result.box or _NOWHERE
    return {
        "X-Width": str(result.width),
        "X-Height": str(result.height),
        "X-Max-Width": str(result.full_size[0]),
        "X-Max-Height": str(result.full_size[1]),
        "X-Credits-Charged": "0",
        "X-Foreground-Top": str(box.top),
        "X-Foreground-Left": str(box.left),
        "X-Foreground-Width": str(box.width),
        "X-Foreground-Height": str(box.height),
        "Vary": "Accept",
    }


def _request_body() -> dict[str, Any]:
    parameters = RemoveBgParameters.model_json_schema()["properties"]
    image_url = {"image_url": {"type": "string", "description": "Where to fetch the image."}}
    image_b64 = {"image_file_b64": {"type": "string", "description": "The file as base64."}}
    image_file = {"image_file": BINARY | {"description": "The image as a file."}}
    bg_url = {"bg_image_url": {"type": "string", "description": "Where to fetch a background."}}
    bg_file = {"bg_image_file": BINARY | {"description": "A background as a file."}}
    text = {
        "type": "object",
        "properties": image_url | image_b64 | bg_url | parameters,
        "oneOf": [{"required": ["image_url"]}, {"required": ["image_file_b64"]}],
    }
    files = {
        "type": "object",
        "properties": image_file | image_url | image_b64 | bg_file | bg_url | parameters,
        "oneOf": [{"required": [name]} for name in (*image_file, *image_url, *image_b64)],
    }
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": files},
            "application/json": {"schema": text},
            "application/x-www-form-urlencoded": {"schema": text},
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
_RETRY = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds."}}


def _responses() -> dict[int | str, dict[str, Any]]:
    media_types = ("image/png", "image/jpeg", "image/webp", "application/zip")
    subject_type = {"X-Type": {"schema": {"type": "string"}, "description": "Always `other`."}}
    return {
        200: {
            "model": RemoveBgResponse,
            "description": "The cutout.",
            "headers": _RESULT_HEADERS | subject_type,
            "content": {media_type: {"schema": BINARY} for media_type in media_types},
        },
        400: _error("The request, a parameter or the image cannot be used; see `code`."),
        **_account_responses(),
        408: _error("The body did not arrive in time."),
        429: _error("Too many megapixels, or overloaded.", _RETRY | _RATE_HEADERS),
        500: _error("The model failed on this image."),
        503: _error("Loading, shutting down, failed, or out of device memory."),
        504: _error("Not finished before the deadline."),
    }


def _account_responses() -> dict[int | str, dict[str, Any]]:
    return {403: _error("The key is missing or wrong: `auth_failed`.")}


def _error(description: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"model": RemoveBgErrors, "description": description, "headers": headers or {}}
