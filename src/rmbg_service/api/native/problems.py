"""Errors to `application/problem+json` (RFC 9457)."""

import json
from http import HTTPStatus

from fastapi import Request
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from rmbg_service.api.request_record import RequestRecord
from rmbg_service.errors import Rejected, RmbgError, Unauthorized

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """What went wrong, for a program and for a person."""

    type: str = Field(description="Stable name of the kind of error.", examples=["overloaded"])
    title: str = Field(description="The same for a person.", examples=["Overloaded"])
    status: int = Field(description="The HTTP status.", examples=[429])
    detail: str = Field(description="What was wrong with this request.")
    request_id: str = Field(description="The same as in `X-Request-ID` and in the log.")


def problem_response(request: Request, error: Exception) -> Response:
    """The response for `error`; one that was not raised on purpose says nothing of itself."""
    record: RequestRecord = request.state.record
    if isinstance(error, HTTPException):
        return _router_error(error, record)
    if not isinstance(error, RmbgError):
        return _respond(
            Problem(
                type=RmbgError.type,
                title=RmbgError.title,
                status=500,
                detail="an unexpected error; the log has it under this request id",
                request_id=record.id,
            )
        )
    headers = {}
    if isinstance(error, Rejected):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    problem = Problem(
        type=error.type,
        title=error.title,
        status=error.status,
        detail=str(error),
        request_id=record.id,
    )
    return _respond(problem, headers)


def _router_error(error: HTTPException, record: RequestRecord) -> Response:
    """404 and 405 in the same form."""
    title = HTTPStatus(error.status_code).phrase
    problem = Problem(
        type=title.lower().replace(" ", "-"),
        title=title,
        status=error.status_code,
        detail=f"{record.method} {record.path}: {error.detail}",
        request_id=record.id,
    )
    return _respond(problem, dict(error.headers or {}))


def _respond(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps(problem.model_dump(), ensure_ascii=False)
    return Response(body, problem.status, headers, MEDIA_TYPE)
