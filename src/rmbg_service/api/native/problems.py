"""Errors to `application/problem+json` (RFC 9457), in the language of the client."""

import json
from http import HTTPStatus

from fastapi import Request
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from rmbg_service.api.negotiation import preferred_language
from rmbg_service.api.request_record import RequestRecord
from rmbg_service.errors import Rejected, RmbgError, Unauthorized
from rmbg_service.messages import Message

MEDIA_TYPE = "application/problem+json"
_UNEXPECTED = Message("an unexpected error; the log has it under this request id")


class Problem(BaseModel):
    """What went wrong, for a program and for a person."""

    type: str = Field(description="Stable name of the kind of error.", examples=["overloaded"])
    title: str = Field(
        description="The same for a person, in the language of `detail`.", examples=["Overloaded"]
    )
    status: int = Field(description="The HTTP status.", examples=[429])
    detail: str = Field(
        description="What was wrong with this request, in the language that `Accept-Language` "
        "prefers: English or simplified Chinese."
    )
    request_id: str = Field(description="The same as in `X-Request-ID` and in the log.")


def problem_response(request: Request, error: Exception) -> Response:
    """The response for `error`; one that was not raised on purpose says nothing of itself."""
    if isinstance(error, HTTPException):
        return _router_error(request, error)
    if not isinstance(error, RmbgError):
        return _respond(request, 500, RmbgError.type, RmbgError.title, _UNEXPECTED, {})
    headers = {}
    if isinstance(error, Rejected):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    return _respond(request, error.status, error.type, error.title, error.message, headers)


def _router_error(request: Request, error: HTTPException) -> Response:
    """404 and 405 in the same form."""
    title = HTTPStatus(error.status_code).phrase
    record: RequestRecord = request.state.record
    detail = Message(
        "{method} {path}: {problem}",
        method=record.method,
        path=record.path,
        problem=Message(error.detail),
    )
    name = title.lower().replace(" ", "-")
    return _respond(request, error.status_code, name, title, detail, dict(error.headers or {}))


def _respond(
    request: Request, status: int, name: str, title: str, detail: Message, headers: dict[str, str]
) -> Response:
    language = preferred_language(request.headers)
    problem = Problem(
        type=name,
        title=Message(title).text(language),
        status=status,
        detail=detail.text(language),
        request_id=request.state.record.id,
    )
    headers |= {"Content-Language": language, "Vary": "Accept-Language"}
    body = json.dumps(problem.model_dump(), ensure_ascii=False)
    return Response(body, status, headers, MEDIA_TYPE)
