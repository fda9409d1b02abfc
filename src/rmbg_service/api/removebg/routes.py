"""POST /v1.0/removebg and GET /v1.0/account: the remove.bg API, for its existing clients.

The contract is remove.bg's public API documentation, version 1.0. docs/migrate-from-removebg.md
lists what differs.
"""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from rmbg_service.api.execution import run_job
from rmbg_service.api.guard import Guard, guarded
from rmbg_service.api.negotiation import Accept
from rmbg_service.api.removebg import request as wire
from rmbg_service.api.removebg.description import ACCOUNT_RESPONSES, REQUEST_BODY, RESPONSES
from rmbg_service.api.removebg.errors import rate_headers
from rmbg_service.api.request_record import RequestRecord
from rmbg_service.api.streaming import Base64Text, StreamedResponse
from rmbg_service.removal.result import Encoded
from rmbg_service.serving.engine import Engine
from rmbg_service.types import Box
from rmbg_service.url_fetch import Fetcher

PREFIX = "/v1.0/"
_REMOVEBG = "/v1.0/removebg"
_ACCOUNT = "/v1.0/account"
_NOWHERE = Box(0, 0, 0, 0)
_SUBJECT_TYPE = "other"  # subjects are not classified


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


def removebg_router(engine: Engine, fetcher: Fetcher | None) -> APIRouter:
    """The two routes; without a `fetcher` no URL is fetched."""
    router = APIRouter(tags=["remove.bg"])
    settings = engine.settings

    @router.post(
        _REMOVEBG,
        dependencies=guarded(Guard(wait_limit_s=settings.removebg_wait_limit_s)),
        response_class=Response,
        responses=RESPONSES,
        openapi_extra={"requestBody": REQUEST_BODY},
    )
    async def removebg(request: Request) -> Response:
        """Remove the background of one image, by the contract of the remove.bg API.

        The response is the file itself, or JSON with base64 when `Accept` asks for JSON alone.
        """
        record: RequestRecord = request.state.record
        accept = Accept.of(request.headers)
        with record.timings.measure("read"):
            parsed = await wire.read_request(
                request,
                engine.parser,
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
        _ACCOUNT,
        dependencies=guarded(Guard(runs_job=False)),
        response_description="The account.",
        responses=ACCOUNT_RESPONSES,
    )
    async def removebg_account() -> Account:
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
