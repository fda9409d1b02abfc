"""A request of the remove.bg API to `RemovalRequest`."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from rmbg_service.api import body
from rmbg_service.api.fetch import Fetcher, FetchFailed, FetchRefused
from rmbg_service.api.removebg_errors import RemoveBgError
from rmbg_service.api.removebg_parameters import RemoveBgParameters
from rmbg_service.api.wire import RemovalRequest
from rmbg_service.errors import MalformedRequest, UnsupportedMediaType
from rmbg_service.settings import RemoveBgSize

_SOURCES = ("image_file", "image_file_b64", "image_url")
_BACKGROUNDS = ("bg_color", "bg_image_file", "bg_image_url")
_PARAMETER = "the parameter {name}: {reason}"
_MAX_DETAIL = 300


@dataclass(frozen=True)
class RemoveBgRequest:
    """An understood request."""

    removal: RemovalRequest
    parameters: RemoveBgParameters


async def read_request(
    request: Request,
    fetcher: Fetcher | None,
    default_size: RemoveBgSize,
    max_body_bytes: int,
) -> RemoveBgRequest:
    """Read the body once, understand it, and fetch what it names by URL.

    Raises `RemoveBgError` with the API's code, or what `api.body` raises.
    """
    fields = await _read_fields(request, max_body_bytes)
    sources = [name for name in _SOURCES if name in fields]
    if len(sources) != 1:
        code = "multiple_sources" if sources else "missing_source"
        raise RemoveBgError(code, f"give exactly one of {', '.join(_SOURCES)}")
    backgrounds = [name for name in _BACKGROUNDS if name in fields]
    if len(backgrounds) > 1:
        raise RemoveBgError("multiple_bg_sources", f"give one of {', '.join(_BACKGROUNDS)}")
    parameters = _parameters(fields)
    if parameters.channels == "alpha" and parameters.format == "zip":
        raise RemoveBgError("invalid_format", "channels=alpha is one picture, not a zip")
    data = await _picture(fields, sources[0], fetcher, max_body_bytes)
    background = None
    if backgrounds and backgrounds != ["bg_color"]:
        left = max_body_bytes - len(data)  # both together keep the bound on a body
        background = await _picture(fields, backgrounds[0], fetcher, left)
    options = parameters.options(default_size, has_background=background is not None)
    if options.output == "matte":
        background = None
    return RemoveBgRequest(RemovalRequest(data, options, background), parameters)


async def _read_fields(request: Request, max_body_bytes: int) -> dict[str, str | bytes]:
    """The fields that say something: files as bytes, everything else as text."""
    kind = body.content_type(request)
    given: list[tuple[str, Any]]
    if kind == "application/json":
        given = _json_members(await body.read_json(request))
    elif kind == "application/x-www-form-urlencoded":
        given = _form_members(await body.read_bytes(request))
    elif kind == "multipart/form-data":
        form = await body.read_multipart(request, max_body_bytes)
        try:
            given = [
                (name, await value.read() if isinstance(value, UploadFile) else value)
                for name, value in form.multi_items()
            ]
        finally:
            await form.close()
    else:
        raise UnsupportedMediaType(
            f"Content-Type is {kind or 'missing'}; send multipart/form-data, "
            "application/x-www-form-urlencoded or application/json"
        )
    return {name: value for name, value in given if value not in ("", b"", None)}


def _json_members(text: bytearray) -> list[tuple[str, Any]]:
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        raise MalformedRequest("the body is not valid JSON") from None
    if not isinstance(members, dict):
        raise MalformedRequest("the body is not a JSON object")
    return list(members.items())


def _form_members(text: bytearray) -> list[tuple[str, Any]]:
    try:
        members = parse_qsl(text.decode("utf-8"), max_num_fields=body.MAX_FIELDS)
    except ValueError:
        raise MalformedRequest("the body is not a form") from None
    # Base64 has no spaces; where it seems to, a client has not escaped its plus signs.
    return [(k, v.replace(" ", "+") if k == "image_file_b64" else v) for k, v in members]


def _parameters(fields: dict[str, str | bytes]) -> RemoveBgParameters:
    known = {name: fields[name] for name in RemoveBgParameters.model_fields if name in fields}
    try:
        return RemoveBgParameters.model_validate(known)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        name, reason = first["loc"][0], first["msg"].removeprefix("Value error, ")
        raise RemoveBgError(
            f"invalid_{name}", _PARAMETER.format(name=name, reason=reason)[:_MAX_DETAIL]
        ) from None


async def _picture(
    fields: dict[str, str | bytes], name: str, fetcher: Fetcher | None, max_bytes: int
) -> bytes:
    value = fields[name]
    if name.endswith("_url"):
        return await _fetch(value, name, fetcher, max_bytes)
    if isinstance(value, bytes):
        return value
    if name == "image_file_b64" and isinstance(value, str):
        try:
            return body.decode_base64(value)
        except MalformedRequest as error:
            raise RemoveBgError("failed_to_read_image", str(error)) from None
    raise RemoveBgError(
        "failed_to_read_image",
        f"send {name} as a file of a multipart/form-data body; base64 goes into image_file_b64",
    )


async def _fetch(url: object, name: str, fetcher: Fetcher | None, max_bytes: int) -> bytes:
    refused, failed = {
        "image_url": ("invalid_image_url", "failed_image_download"),
        "bg_image_url": ("invalid_bg_image_url", "failed_bg_download"),
    }[name]
    if fetcher is None:
        raise RemoveBgError(
            refused, "this service fetches nothing: send the file, or set RMBG_URL_FETCH=on"
        )
    if not isinstance(url, str):
        raise RemoveBgError(refused, f"{name} is text")
    try:
        return await fetcher.fetch(url, max_bytes)
    except FetchRefused as error:
        raise RemoveBgError(refused, str(error)) from None
    except FetchFailed as error:
        raise RemoveBgError(failed, str(error)) from None
