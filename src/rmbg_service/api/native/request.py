"""Content-Type to `RemovalRequest`."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import Request
from pydantic import ConfigDict, Field, ValidationError, WithJsonSchema

from rmbg_service.api.body.fields import (
    Part,
    base64_value,
    plain_value,
    without_repeats,
)
from rmbg_service.api.body.forms import multipart_fields
from rmbg_service.api.body.json_object import json_fields
from rmbg_service.api.body.reading import content_type, parse_body, read_body
from rmbg_service.api.execution import RemovalRequest
from rmbg_service.api.negotiation import Accept
from rmbg_service.errors import MalformedRequest, UnsupportedMediaType
from rmbg_service.imaging.encode import ENCODERS
from rmbg_service.messages import Message
from rmbg_service.removal.attachments import (
    ATTACHMENTS,
    DESCRIPTIONS,
    Files,
    require_consistent,
)
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.serving.fair_pool import FairPool
from rmbg_service.validation import joined, with_name

_FILE_FIELDS = ("image", "file")
_BASE64_FIELD = "image_base64"
_MAX_ERRORS = 5
_MAX_NAME = 64


# As bytes, base64 text takes a byte a character; Python's text may take four.
Base64Field = Annotated[bytes, WithJsonSchema({"type": "string", "contentEncoding": "base64"})]


class JsonRemovalRequest(RemovalOptions):
    """The JSON form of a request: the images as base64 text, beside the options.

    A member that is null is as if it were not there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: Base64Field = Field(description="The image file.")
    background_image: Base64Field | None = Field(None, description=DESCRIPTIONS["background_image"])
    matte: Base64Field | None = Field(None, description=DESCRIPTIONS["matte"])
    strokes: Base64Field | None = Field(None, description=DESCRIPTIONS["strokes"])


async def read_request(request: Request, accept: Accept, parser: FairPool) -> RemovalRequest:
    """Read the body once and understand it; `accept` chooses the format if no option does.

    Raises `UnsupportedMediaType` for a Content-Type that is not accepted and `MalformedRequest`,
    which names the option or field, for a body that cannot be understood.
    """
    kind = content_type(request)
    query = without_repeats(request.query_params.multi_items(), "query")
    parse: Callable[[bytes], RemovalRequest]
    if kind == "application/json":
        parse = partial(_from_json, query=query)
    elif kind == "multipart/form-data":
        parse = partial(_from_form, content_type=request.headers["content-type"], query=query)
    elif kind.startswith("image/") or kind == "application/octet-stream":
        parse = partial(_from_image, query=query)
    else:
        raise UnsupportedMediaType(
            "expected the Content-Type application/json, multipart/form-data, or, for the file "
            "itself, image/* or application/octet-stream; got {kind}",
            kind=kind or Message("none"),
        )
    body = await read_body(request)
    removal = await parse_body(request, parser, parse, body)
    return replace(removal, options=_with_accepted_format(removal.options, accept))


def _from_image(data: bytes, query: Mapping[str, str]) -> RemovalRequest:
    return RemovalRequest(_not_empty(data), _options(query))


def _from_json(text: bytes, query: Mapping[str, str]) -> RemovalRequest:
    members = {
        name: value
        for name, value in without_repeats(json_fields(text), "JSON object").items()
        if value is not None or name not in JsonRemovalRequest.model_fields
    }
    if "image" not in members:
        raise MalformedRequest("image: must be given")
    data = _image("image", members.pop("image"))
    files: Files = {
        name: _image(name, members.pop(name)) for name in ATTACHMENTS if name in members
    }
    return _removal(data, members, query, files)


def _from_form(text: bytes, content_type: str, query: Mapping[str, str]) -> RemovalRequest:
    fields = dict(without_repeats(multipart_fields(text, content_type), "form"))
    sources = [name for name in (*_FILE_FIELDS, _BASE64_FIELD) if name in fields]
    if len(sources) != 1:
        raise MalformedRequest(
            "send the image in exactly one of the fields image, file, image_base64; got {fields}",
            fields=", ".join(sources) or Message("none"),
        )
    data = _image(sources[0], fields.pop(sources[0]))
    files: Files = {name: _image(name, fields.pop(name)) for name in ATTACHMENTS if name in fields}
    return _removal(data, fields, query, files)


def _removal(
    data: bytes,
    fields: Mapping[str, Any],
    query: Mapping[str, str],
    files: Files,
) -> RemovalRequest:
    given = {name: plain_value(name, value) for name, value in fields.items()}
    # The image replaces the colour of a preset.
    least: dict[str, Any] = {"background": None} if "background_image" in files else {}
    options = _options(least | given | dict(query))
    if given.keys() & query.keys():
        _require_equal(options, _options(least | dict(query) | given))
    require_consistent(options, files)
    return RemovalRequest(data, options, files)


def _require_equal(query_first: RemovalOptions, body_first: RemovalOptions) -> None:
    """Raise `MalformedRequest` for an option that the body and the query give different values.

    Equal ones are not refused: many clients send an option both ways.
    """
    for name in RemovalOptions.model_fields:
        if getattr(query_first, name) != getattr(body_first, name):
            raise MalformedRequest(
                "the option {name!r} has one value in the body and another in the query", name=name
            )


def _image(name: str, value: object) -> bytes:
    """The image in the field `name`: a file of a form, or base64 text."""
    try:
        return _not_empty(value.file() if isinstance(value, Part) else base64_value(value))
    except MalformedRequest as error:
        raise MalformedRequest("{name}: {reason}", name=name, reason=error.message) from None


def _with_accepted_format(options: RemovalOptions, accept: Accept) -> RemovalOptions:
    """`options` with the format that Accept names, if the caller named none.

    A format that these options cannot have, such as the zip of a matte, is not taken.
    """
    preferred = accept.preferred_file_type()
    if preferred is None or options.output == "layers" or "format" in options.model_fields_set:
        return options
    for name, encoder in ENCODERS.items():
        if encoder.media_type == preferred:
            named = options.model_dump(exclude_unset=True) | {"format": name}
            with suppress(ValidationError):
                return RemovalOptions.model_validate(named)
    return options


def _options(given: Mapping[str, Any]) -> RemovalOptions:
    """Options from JSON values or from text, as it comes in a form or a query."""
    try:
        return RemovalOptions.model_validate(given)
    except ValidationError as error:
        raise _explained(error) from None


def _not_empty(data: bytes) -> bytes:
    if not data:
        raise MalformedRequest("the image is empty")
    return data


def _explained(error: ValidationError) -> MalformedRequest:
    """Which fields are wrong and why; never a value, which may be the whole image."""
    reasons = []
    for item in error.errors(include_input=False, include_url=False)[:_MAX_ERRORS]:
        name = str(item["loc"][0]) if item["loc"] else ""
        if item["type"] != "extra_forbidden":
            reason = with_name(item)
        elif name in ATTACHMENTS:
            reason = Message(
                "{name} is an image: send it in the body, as a field of a form or of JSON",
                name=name,
            )
        else:
            reason = Message(
                "unknown option {name!r}; the options are: {known}",
                name=name[:_MAX_NAME],
                known=", ".join((*RemovalOptions.model_fields, *ATTACHMENTS)),
            )
        reasons.append(reason)
    return MalformedRequest(joined(reasons))
