"""Errors in the form of rembg's server: `{"detail": "..."}`."""

import json
from http import HTTPStatus

from fastapi import Request
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from rmbg_service.errors import MalformedRequest, Rejected, RmbgError, Unauthorized


class RembgError(BaseModel):
    """What every failed request gets."""

    detail: str = Field(description="What was wrong.", examples=["Only http URLs are allowed."])


def error_response(_: Request, error: Exception) -> Response:
    """The response for `error`; one that was not raised on purpose says nothing of itself."""
    if isinstance(error, HTTPException):  # the router's own: 405
        return _respond(error.status_code, str(error.detail), dict(error.headers or {}))
    if not isinstance(error, RmbgError):
        return _respond(500, HTTPStatus.INTERNAL_SERVER_ERROR.phrase, {})
    headers = {}
    if isinstance(error, Rejected):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    status = 422 if isinstance(error, MalformedRequest) else error.status
    return _respond(status, str(error), headers)


def _respond(status: int, detail: str, headers: dict[str, str]) -> Response:
    body = json.dumps({"detail": detail}, ensure_ascii=False)
    return Response(body, status, headers, "application/json")
