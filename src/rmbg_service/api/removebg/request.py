"""A request of the remove.bg API to `RemovalRequest`."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias
from urllib.parse import unquote_plus

from fastapi import Request
from pydantic import BaseModel, Field, ValidationError, create_model
from starlette.datastructures import UploadFile

from rmbg_service.api import body
from rmbg_service.api.execution import RemovalRequest, while_wanted
from rmbg_service.api.removebg.errors import RemoveBgError
from rmbg_service.api.removebg.parameters import RemoveBgParameters
from rmbg_service.api.url_fetch import Fetcher, FetchFailed, FetchRefused
from rmbg_service.errors import MalformedRequest, UnsupportedMediaType
from rmbg_service.settings import RemoveBgSize

_SOURCES = ("image_file", "image_file_b64", "image_url")
_BACKGROUNDS = ("bg_color", "bg_image_file", "bg_image_url")
_FILES = ("image_file", "bg_image_file")
_PARAMETERS = tuple(RemoveBgParameters.model_fields)
_KNOWN = {*_SOURCES, *_BACKGROUNDS, *_PARAMETERS}
_CODES = {"image_file_b64": "failed_to_read_image"}
_MAX_DETAIL = 300

_Short = Annotated[str, Field(max_length=body.MAX_TEXT)] | bool | int | float | None
# The picture as bytes: base64 text then takes a byte a character. What is unknown or too long never
# becomes a Python object.
_JsonBody = create_model(  # type: ignore[call-overload]
    "_JsonBody",
    image_file_b64=(bytes | None, None),
    **dict.fromkeys(("image_url", "bg_image_url", *_PARAMETERS), (_Short, None)),
)
# What base64 and a `data:` URI have to escape in a form.
_ESCAPES = {
    b"%2B": b"+", b"%2F": b"/", b"%3D": b"=", b"%3A": b":", b"%3B": b";", b"%2C": b",",
    b"%0D": b"", b"%0A": b"",
}  # fmt: skip
_Fields: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class RemoveBgRequest:
    """An understood request."""

    removal: RemovalRequest
    parameters: RemoveBgParameters


async def read_request(
    request: Request, fetcher: Fetcher | None, default_size: RemoveBgSize, max_body_bytes: int
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
    matte = parameters.channels == "alpha"
    if matte and parameters.format == "zip":
        raise RemoveBgError("invalid_format", "channels=alpha is one picture, not a zip")
    fetch = _Fetch(request, fetcher)
    data = await _picture(fields, sources[0], fetch, max_body_bytes)
    background = None
    if backgrounds and backgrounds != ["bg_color"] and not matte:
        left = max_body_bytes - len(data)  # both together keep the bound on a body
        background = await _picture(fields, backgrounds[0], fetch, left)
    try:
        options = parameters.options(default_size, has_background=background is not None)
    except ValidationError as error:
        raise _invalid(error) from None
    return RemoveBgRequest(RemovalRequest(data, options, background), parameters)


async def _read_fields(request: Request, max_body_bytes: int) -> _Fields:
    """The known fields that are not blank: images as bytes, everything else as it came."""
    kind = body.content_type(request)
    if kind == "application/json":
        given = _json_members(await body.read_json(request))
    elif kind == "application/x-www-form-urlencoded":
        given = _form_members(await body.read_bytes(request))
    elif kind == "multipart/form-data":
        given = await _parts(request, max_body_bytes)
    else:
        raise UnsupportedMediaType(
            f"Content-Type is {kind or 'missing'}; send multipart/form-data, "
            "application/x-www-form-urlencoded or application/json"
        )
    return {name: value for name, value in given.items() if not _is_blank(name, value)}


def _is_blank(name: str, value: object) -> bool:
    if value is False and name in (*_SOURCES, *_BACKGROUNDS):
        return True
    return value is None or (isinstance(value, str | bytes) and not value.strip())


def _json_members(text: bytearray) -> _Fields:
    try:
        members: BaseModel = _JsonBody.model_validate_json(text)
    except ValidationError as error:
        raise _invalid(error) from None
    return members.model_dump(exclude_unset=True)


def _form_members(text: bytearray) -> _Fields:
    """Every known field of an urlencoded body; of repeated ones the last.

    Only short ones are unescaped in general. Of base64 the few escapes that it needs are replaced;
    so millions of them cost little.
    """
    if text.count(b"&") >= body.MAX_FIELDS:
        raise MalformedRequest(f"a form has at most {body.MAX_FIELDS} fields")
    members: _Fields = {}
    parts = text.split(b"&")
    text.clear()  # here and below: a body is large, so no copy outlives its use
    while parts:
        value = parts.pop()
        name, equals = value[: body.MAX_TEXT].partition(b"=")[:2]
        del value[: len(name) + len(equals)]
        field = unquote_plus(name.decode("latin-1"))
        if field not in _KNOWN:
            continue
        if field in members:  # the last one, which has come first
            _refuse_two_sources(field)
            continue
        if field == "image_file_b64":
            # Base64 has no blanks: where one seems to be, a client has not escaped its plus sign.
            members[field] = bytes(_unescaped(value).replace(b" ", b"+"))
        elif len(value) > body.MAX_TEXT:
            raise MalformedRequest(f"the field {field} is too long")
        else:
            members[field] = unquote_plus(value.decode("latin-1"))
    return members


def _unescaped(value: bytearray) -> bytearray:
    for escape, character in _ESCAPES.items():
        for spelling in {escape, escape.lower()}:
            if spelling in value:
                value = value.replace(spelling, character)
    return value


async def _parts(request: Request, max_body_bytes: int) -> _Fields:
    form = await body.read_multipart(request, max_body_bytes)
    try:
        members: _Fields = {}
        for name, value in form.multi_items():
            if name in members:
                _refuse_two_sources(name)
            if name in _KNOWN:
                members[name] = (
                    await value.read() if isinstance(value, UploadFile) else _part(name, value)
                )
        return members
    finally:
        await form.close()


def _refuse_two_sources(name: str) -> None:
    """Raise `RemoveBgError` where a repeated field is one of the picture."""
    if name in _SOURCES:
        raise RemoveBgError("multiple_sources", f"{name} is given twice")


def _part(name: str, value: str) -> str | bytes:
    """A part without a file name, which may hold a file all the same."""
    return value.encode("latin-1") if name in _FILES else body.utf8_text(value)


def _parameters(fields: _Fields) -> RemoveBgParameters:
    known = {name: fields[name] for name in _PARAMETERS if name in fields}
    try:
        return RemoveBgParameters.model_validate(known)
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> RemoveBgError | MalformedRequest:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    reason = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return MalformedRequest(f"the body is no JSON object: {reason}"[:_MAX_DETAIL])
    name = str(first["loc"][0])
    code = _CODES.get(name, f"invalid_{name}")
    return RemoveBgError(code, f"the parameter {name}: {reason}"[:_MAX_DETAIL])


async def _picture(fields: _Fields, name: str, fetch: "_Fetch", max_bytes: int) -> bytes:
    value = fields.pop(name)  # so that the text goes as soon as its bytes are there
    if name.endswith("_url"):
        return await fetch(value, name, max_bytes)
    if name == "image_file_b64":
        try:
            return body.decode_base64(value)
        except MalformedRequest as error:
            raise RemoveBgError("failed_to_read_image", str(error)) from None
    if isinstance(value, bytes):
        return value
    raise RemoveBgError(
        "failed_to_read_image",
        f"send {name} as a file of a multipart/form-data body; base64 goes into image_file_b64",
    )


@dataclass(frozen=True)
class _Fetch:
    """Fetches for one request; stops when its client leaves or its deadline passes."""

    request: Request
    fetcher: Fetcher | None

    async def __call__(self, url: object, name: str, max_bytes: int) -> bytes:
        refused, failed = {
            "image_url": ("invalid_image_url", "failed_image_download"),
            "bg_image_url": ("invalid_bg_image_url", "failed_bg_download"),
        }[name]
        if self.fetcher is None:
            raise RemoveBgError(
                refused, "this service fetches nothing: send the file, or set RMBG_URL_FETCH=on"
            )
        if not isinstance(url, str):
            raise RemoveBgError(refused, f"{name} is text")
        fetching = asyncio.create_task(self.fetcher.fetch(url, max_bytes))
        try:
            return await while_wanted(self.request, fetching)
        except FetchRefused as error:
            raise RemoveBgError(refused, str(error)) from None
        except FetchFailed as error:
            raise RemoveBgError(failed, str(error)) from None
        finally:
            fetching.cancel()
