"""A request of rembg's API to `RemovalRequest`."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import Request
from pydantic import ValidationError

from rmbg_service.api.body.fields import Part, plain_value, without_repeats
from rmbg_service.api.body.forms import multipart_fields
from rmbg_service.api.body.reading import content_type, parse_body, read_body
from rmbg_service.api.execution import RemovalRequest, fetch_image
from rmbg_service.api.rembg.parameters import RembgParameters
from rmbg_service.errors import MalformedRequest, UnsupportedMediaType
from rmbg_service.serving.fair_pool import FairPool
from rmbg_service.url_fetch import Fetcher
from rmbg_service.validation import with_name

_FILE = "file"
_URL = "url"


async def read_file_request(
    request: Request, parser: FairPool, loaded_model: str
) -> RemovalRequest:
    """Read the form with the image; its parameters may also be in the query.

    Raises `MalformedRequest` or `UnsupportedMediaType`.
    """
    kind = content_type(request)
    if kind != "multipart/form-data":
        raise UnsupportedMediaType(
            f"Content-Type is {kind or 'missing'}; send multipart/form-data with the image in file"
        )
    parse = partial(
        _from_form,
        content_type=request.headers["content-type"],
        query=_query(request),
        loaded_model=loaded_model,
    )
    body = await read_body(request)
    return await parse_body(request, parser, parse, body)


async def read_url_request(
    request: Request, fetcher: Fetcher | None, loaded_model: str, max_bytes: int
) -> RemovalRequest:
    """Fetch the image that the query names.

    Raises `MalformedRequest`, `FetchRefused`, `FetchFailed`, `BodyTooLarge` or `Overloaded`.
    """
    query = _query(request)
    parameters = _parameters(query, loaded_model)
    if not query.get(_URL):
        raise MalformedRequest("url: expected the address of an image, got nothing")
    await read_body(request)
    data = await fetch_image(request, fetcher, query[_URL], max_bytes)
    return RemovalRequest(data, parameters.options())


def _query(request: Request) -> Mapping[str, str]:
    return without_repeats(request.query_params.multi_items(), "query")


def _from_form(
    text: bytes, content_type: str, query: Mapping[str, str], loaded_model: str
) -> RemovalRequest:
    fields = without_repeats(multipart_fields(text, content_type), "form")
    file = fields.get(_FILE)
    if not isinstance(file, Part):
        raise MalformedRequest("file: send the image in a field of this name")
    if not file.data:
        raise MalformedRequest("file: the image is empty")
    known = RembgParameters.model_fields.keys() & fields.keys()
    given = {name: plain_value(name, fields[name]) for name in known}
    parameters = _parameters({**query, **given}, loaded_model)
    return RemovalRequest(bytes(file.data), parameters.options())


def _parameters(given: Mapping[str, Any], loaded_model: str) -> RembgParameters:
    """The parameters that are not blank, for the model that is loaded."""
    named = {name: value for name, value in given.items() if value != ""}
    try:
        parameters = RembgParameters.model_validate(named)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise MalformedRequest(str(with_name(first))) from None
    parameters.require_model(loaded_model)
    return parameters
