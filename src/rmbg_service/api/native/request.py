"""Content-Type to `RemovalRequest`."""

from contextlib import suppress
from typing import Annotated, Any, TypeAlias

from fastapi import Request
from pydantic import ConfigDict, Field, ValidationError, WithJsonSchema
from starlette.datastructures import FormData, UploadFile

from rmbg_service.api import body
from rmbg_service.api.body import decode_base64, utf8_text
from rmbg_service.api.execution import RemovalRequest
from rmbg_service.api.negotiation import Accept
from rmbg_service.errors import MalformedRequest, UnsupportedMediaType
from rmbg_service.imaging.encode import ENCODERS
from rmbg_service.removal.options import RemovalOptions

_FILE_FIELDS = ("image", "file")
_BASE64_FIELD = "image_base64"
_BACKGROUND_FIELD = "background_image"
_MAX_ERRORS = 5
_MAX_NAME = 64
_Parts: TypeAlias = tuple[bytes, RemovalOptions, bytes | None]


# As bytes, base64 text takes a byte a character; Python's text may take four.
Base64Field = Annotated[bytes, WithJsonSchema({"type": "string"})]


class JsonRemovalRequest(RemovalOptions):
    """The JSON form of a request: the pictures as base64 text, beside the options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: Base64Field = Field(
        description="The image file as base64, or as a `data:` URI.",
        examples=[
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
        ],
    )
    background_image: Base64Field | None = Field(
        None, description="A picture to put the cutout on, as base64 or `data:` URI."
    )


async def read_request(request: Request, accept: Accept, max_body_bytes: int) -> RemovalRequest:
    """Read the body once and understand it; `accept` chooses the format if no option does.

    Raises `UnsupportedMediaType` for a form this service does not speak and `MalformedRequest`,
    which names the option or field, for one it cannot understand.
    """
    content_type = body.content_type(request)
    query = _without_repeats(request.query_params.multi_items(), "query")
    if content_type == "application/json":
        data, options, background = _from_json(await body.read_json(request), query)
    elif content_type == "multipart/form-data":
        form = await body.read_multipart(request, max_body_bytes)
        try:
            data, options, background = await _from_form(form, query)
        finally:
            await form.close()
    elif content_type.startswith("image/") or content_type == "application/octet-stream":
        data = _not_empty(await body.read_bytes(request))
        options, background = _options(query), None
    else:
        raise UnsupportedMediaType(
            f"Content-Type is {content_type or 'missing'}; send application/json, "
            "multipart/form-data, or the file itself as image/*"
        )
    if background is not None:
        _require_room_for_background(options)
    return RemovalRequest(data, _with_accepted_format(options, accept), background)


def _from_json(text: bytearray, query: dict[str, str]) -> _Parts:
    try:
        parsed = JsonRemovalRequest.model_validate_json(text)
    except ValidationError as error:
        raise MalformedRequest(_explain(error)) from None
    given = parsed.model_dump(exclude={"image", "background_image"}, exclude_unset=True)
    data = _not_empty(decode_base64(parsed.image))
    background = None
    if parsed.background_image is not None:
        background = _not_empty(decode_base64(parsed.background_image))
    return data, _options(_merge(given, query)), background


async def _from_form(form: FormData, query: dict[str, str]) -> _Parts:
    fields = _without_repeats(form.multi_items(), "form")
    sources = [name for name in (*_FILE_FIELDS, _BASE64_FIELD) if name in fields]
    if len(sources) != 1:
        raise MalformedRequest(
            "send the picture in exactly one of the fields image, file, image_base64; "
            f"got {', '.join(sources) or 'none'}"
        )
    data = await _file_or_base64(fields.pop(sources[0]))
    background = None
    if _BACKGROUND_FIELD in fields:
        background = await _file_or_base64(fields.pop(_BACKGROUND_FIELD))
    options = {}
    for name, value in fields.items():
        if isinstance(value, UploadFile):
            raise MalformedRequest(f"unexpected file in the field {utf8_text(name)[:_MAX_NAME]!r}")
        options[utf8_text(name)] = utf8_text(value)
    return data, _options(_merge(options, query)), background


async def _file_or_base64(value: UploadFile | str) -> bytes:
    data = await value.read() if isinstance(value, UploadFile) else decode_base64(value)
    return _not_empty(data)


def _require_room_for_background(options: RemovalOptions) -> None:
    if options.background is not None:
        raise MalformedRequest("give background or background_image, not both")
    if options.output != "cutout":
        what = "a matte has" if options.output == "matte" else "layers have"
        raise MalformedRequest(f"{what} no background: leave out background_image")


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


def _options(given: dict[str, Any]) -> RemovalOptions:
    """Options from JSON values or from text, as it comes in a form or a query."""
    try:
        return RemovalOptions.model_validate(given)
    except ValidationError as error:
        raise MalformedRequest(_explain(error)) from None


def _merge(given: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
    for name in given.keys() & query.keys():
        raise MalformedRequest(
            f"the option {name[:_MAX_NAME]!r} is given twice, in the body and in the query"
        )
    return given | query


def _without_repeats(items: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    values = dict(items)
    if len(values) < len(items):
        raise MalformedRequest(f"a field is given twice in the {where}")
    return values


def _not_empty(data: bytes | bytearray) -> bytes:
    if not data:
        raise MalformedRequest("the picture is empty")
    return bytes(data)


def _explain(error: ValidationError) -> str:
    """Which fields are wrong and why; never a value, which may be the whole picture."""
    reasons = []
    every = error.errors(include_input=False, include_url=False, include_context=False)
    for item in every[:_MAX_ERRORS]:
        name = ".".join(str(part)[:_MAX_NAME] for part in item["loc"])
        if item["type"] == "extra_forbidden":
            known = ", ".join(RemovalOptions.model_fields)
            reasons.append(f"unknown option {name!r}; the options are: {known}")
        else:
            reason = item["msg"].removeprefix("Value error, ")
            reasons.append(f"{name}: {reason}" if name else reason)
    return "; ".join(reasons)
