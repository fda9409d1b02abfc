"""A request of the remove.bg API to `RemovalRequest`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import Request
from pydantic import ValidationError

from rmbg_service.api.body.fields import Fields, Part, RawField, base64_value, plain_value
from rmbg_service.api.body.forms import multipart_fields, urlencoded_fields
from rmbg_service.api.body.json_object import json_fields
from rmbg_service.api.body.reading import content_type, parse_body, read_body
from rmbg_service.api.execution import RemovalRequest, fetch_image
from rmbg_service.api.removebg.errors import RemoveBgError
from rmbg_service.api.removebg.parameters import RemoveBgParameters
from rmbg_service.errors import MalformedRequest, UnsupportedMediaType
from rmbg_service.removal.attachments import Files
from rmbg_service.serving.fair_pool import FairPool
from rmbg_service.settings import RemoveBgSize
from rmbg_service.url_fetch import Fetcher, FetchFailed, FetchRefused
from rmbg_service.validation import in_words

_SOURCES = ("image_file", "image_file_b64", "image_url")
_BACKGROUNDS = ("bg_color", "bg_image_file", "bg_image_url")
_PARAMETERS = tuple(RemoveBgParameters.model_fields)
_KNOWN = {*_SOURCES, *_BACKGROUNDS, *_PARAMETERS}
_URL_CODES = {
    "image_url": ("invalid_image_url", "failed_image_download"),
    "bg_image_url": ("invalid_bg_image_url", "failed_bg_download"),
}
_MAX_DETAIL = 300
_MAX_BLANK = 1000


@dataclass(frozen=True)
class _Url:
    """Where an image is to be fetched from; `name` is the field."""

    name: str
    url: str


@dataclass(frozen=True)
class _Parsed:
    """A body whose images, if they are in it, are decoded."""

    source: bytes | _Url
    background: bytes | _Url | None
    parameters: RemoveBgParameters


@dataclass(frozen=True)
class RemoveBgRequest:
    """An understood request."""

    removal: RemovalRequest
    parameters: RemoveBgParameters


async def read_request(
    request: Request,
    parser: FairPool,
    fetcher: Fetcher | None,
    default_size: RemoveBgSize,
    max_body_bytes: int,
) -> RemoveBgRequest:
    """Read the body once, understand it, and fetch the images that it names by URL.

    Raises `RemoveBgError` with the API's code, `MalformedRequest` or `UnsupportedMediaType`.
    """
    kind = content_type(request)
    read_fields: Callable[[bytes], Fields]
    if kind == "application/json":
        read_fields = json_fields
    elif kind == "application/x-www-form-urlencoded":
        read_fields = urlencoded_fields
    elif kind == "multipart/form-data":
        read_fields = partial(multipart_fields, content_type=request.headers["content-type"])
    else:
        raise UnsupportedMediaType(
            f"Content-Type is {kind or 'missing'}; send multipart/form-data, "
            "application/x-www-form-urlencoded or application/json"
        )
    body = await read_body(request)
    parsed = await parse_body(request, parser, lambda text: _parse(read_fields(text)), body)
    del body
    data, background, parameters = parsed.source, parsed.background, parsed.parameters
    del parsed
    if isinstance(data, _Url):
        data = await _fetch(request, fetcher, data, max_body_bytes)
    if isinstance(background, _Url):
        left = max_body_bytes - len(data)  # as in one body
        background = await _fetch(request, fetcher, background, left)
    try:
        options = parameters.options(default_size, has_background=background is not None)
    except ValidationError as error:
        raise _invalid(error) from None
    files: Files = {} if background is None else {"background_image": background}
    return RemoveBgRequest(RemovalRequest(data, options, files), parameters)


def _parse(given: Fields) -> _Parsed:
    fields = _known(given)
    sources = [name for name in _SOURCES if name in fields]
    if len(sources) != 1:
        code = "multiple_sources" if sources else "missing_source"
        got = ", ".join(sources) or "none with content"
        raise RemoveBgError(code, f"give exactly one of {', '.join(_SOURCES)}; got {got}")
    backgrounds = [name for name in _BACKGROUNDS if name in fields]
    if len(backgrounds) > 1:
        got = ", ".join(backgrounds)
        detail = f"give at most one of {', '.join(_BACKGROUNDS)}; got {got}"
        raise RemoveBgError("multiple_bg_sources", detail)
    parameters = _parameters(fields)
    matte = parameters.channels == "alpha"
    if matte and parameters.format == "zip":
        raise RemoveBgError("invalid_format", "channels=alpha is one image, not a zip")
    source = _image(sources[0], fields[sources[0]])
    background = None
    if backgrounds and backgrounds != ["bg_color"] and not matte:
        background = _image(backgrounds[0], fields[backgrounds[0]])
    return _Parsed(source, background, parameters)


def _known(given: Fields) -> dict[str, Any]:
    """The known fields that are not blank; of repeated ones the last.

    Raises `RemoveBgError` if a repeated one is the image.
    """
    fields: dict[str, Any] = {}
    for name, value in given:
        if name not in _KNOWN or _is_blank(name, value):
            continue
        if name in _SOURCES and name in fields:
            raise RemoveBgError("multiple_sources", f"{name} is given twice")
        fields[name] = value
    return fields


def _is_blank(name: str, value: object) -> bool:
    if value is False and name in (*_SOURCES, *_BACKGROUNDS):
        return True
    if isinstance(value, RawField):
        return len(value.data) < _MAX_BLANK and not value.text().strip()
    return value is None or (isinstance(value, str) and not value.strip())


def _parameters(fields: dict[str, Any]) -> RemoveBgParameters:
    known = {}
    for name in _PARAMETERS:
        if name in fields:
            try:
                known[name] = plain_value(name, fields[name])
            except MalformedRequest as error:
                raise RemoveBgError(f"invalid_{name}", str(error)) from None
    try:
        return RemoveBgParameters.model_validate(known)
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> RemoveBgError | MalformedRequest:
    first = error.errors(include_input=False, include_url=False)[0]
    reason = str(in_words(first))
    if not first["loc"]:
        return MalformedRequest(reason[:_MAX_DETAIL])
    name = str(first["loc"][0])
    return RemoveBgError(f"invalid_{name}", f"the parameter {name}: {reason}"[:_MAX_DETAIL])


def _image(name: str, value: object) -> bytes | _Url:
    if name in _URL_CODES:
        try:
            url = plain_value(name, value)
        except MalformedRequest as error:
            raise RemoveBgError(_URL_CODES[name][0], str(error)) from None
        if not isinstance(url, str):
            raise RemoveBgError(_URL_CODES[name][0], f"{name} is text")
        return _Url(name, url)
    try:
        if name == "image_file_b64":
            return base64_value(value)
    except MalformedRequest as error:
        raise RemoveBgError("failed_to_read_image", f"{name}: {error}") from None
    if isinstance(value, Part):
        return bytes(value.data)
    raise RemoveBgError(
        "failed_to_read_image",
        f"send {name} as a file of a multipart/form-data body; base64 goes into image_file_b64",
    )


async def _fetch(request: Request, fetcher: Fetcher | None, source: _Url, max_bytes: int) -> bytes:
    refused, failed = _URL_CODES[source.name]
    try:
        return await fetch_image(request, fetcher, source.url, max_bytes)
    except FetchRefused as error:
        raise RemoveBgError(refused, str(error)) from None
    except FetchFailed as error:
        raise RemoveBgError(failed, str(error)) from None
