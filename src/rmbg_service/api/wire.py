"""Content-Type to `RemovalRequest`, and a result to the response that Accept asks for."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pybase64
from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rmbg_service.errors import MalformedRequest, UnsupportedMediaType
from rmbg_service.options import RemovalOptions
from rmbg_service.serving.job import Result, Stamps

_PIECE_BYTES = 192 * 1024  # a multiple of 3, so that pieces of base64 join without padding
_FILE_FIELDS = ("image", "file")
_BASE64_FIELD = "image_base64"
_MAX_FIELDS = 40


@dataclass(frozen=True)
class RemovalRequest:
    """An undecoded picture and what is wanted of it."""

    data: bytes
    options: RemovalOptions


class JsonRemovalRequest(RemovalOptions):
    """The JSON form of a request: the picture as base64 text, beside the options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str = Field(
        description="The image file as base64, or as a `data:` URI.",
        examples=[
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
        ],
    )


class RemovalResponse(BaseModel):
    """The result as JSON."""

    image: str = Field(description="The picture as base64.")
    format: str = Field(description="Its file format.", examples=["png"])
    width: int = Field(description="Its width in px.")
    height: int = Field(description="Its height in px.")
    model: str = Field(description="The model that predicted the matte.", examples=["u2netp"])
    timings_ms: dict[str, float] = Field(
        description="Milliseconds in each stage.", examples=[{"decode": 52.1, "predict": 310.4}]
    )


async def read_request(request: Request, max_body_bytes: int) -> RemovalRequest:
    """Read the body once and understand it.

    Raises `UnsupportedMediaType` for a form this service does not speak and `MalformedRequest`,
    which names the option or field, for one it cannot understand.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    query = _without_repeats(request.query_params.multi_items(), "query")
    if content_type == "application/json":
        return _from_json(await _read_all(request), query)
    if content_type == "multipart/form-data":
        form = await _parse_multipart(request, max_body_bytes)
        try:
            return await _from_form(form, query)
        finally:
            await form.close()
    if content_type.startswith("image/") or content_type == "application/octet-stream":
        return RemovalRequest(_not_empty(await _read_all(request)), _options(query))
    raise UnsupportedMediaType(
        f"Content-Type is {content_type or 'missing'}; send application/json, "
        "multipart/form-data, or the file itself as image/*"
    )


def decode_base64(text: str) -> bytes:
    """Bytes of base64 text or of a base64 `data:` URI; line breaks and URL-safe text are fine.

    Raises `MalformedRequest` for anything else.
    """
    if text.startswith("data:"):
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise MalformedRequest("the data: URI must be base64, as in data:image/png;base64,...")
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:
        pass
    tidy = "".join(text.split()).translate(str.maketrans("-_", "+/"))
    try:
        return pybase64.b64decode(tidy + "=" * (-len(tidy) % 4), validate=True)
    except ValueError:
        raise MalformedRequest("the image is not valid base64") from None


def respond(
    request: Request, result: Result, stamps: Stamps, headers: dict[str, str], model: str
) -> Response:
    """The result as JSON, or as the picture itself when Accept prefers an image."""
    timings = stamps.milliseconds()
    headers = headers | {
        "Server-Timing": ", ".join(f"{name};dur={ms}" for name, ms in timings.items()),
        "Vary": "Accept",
    }
    if prefers_image(request.headers.get("accept", "")):
        return PiecesResponse([result.data], headers, result.media_type)
    rest = {
        "format": result.format,
        "width": result.width,
        "height": result.height,
        "model": model,
        "timings_ms": timings,
    }
    tail = b'", ' + json.dumps(rest).encode()[1:]
    return PiecesResponse([b'{"image": "', _Base64(result.data), tail], headers, "application/json")


def prefers_image(accept: str) -> bool:
    """Whether Accept weighs some image type above JSON (RFC 9110, section 12.5.1)."""
    image = json_ = 0.0
    for item in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        if media_type.startswith("image/"):
            image = max(image, weight)
        elif media_type in ("application/json", "application/*"):
            json_ = max(json_, weight)
    return image > json_


@dataclass(frozen=True)
class _Base64:
    """Bytes that go out as base64 text, encoded a piece at a time."""

    data: bytes

    def __len__(self) -> int:
        return -(-len(self.data) // 3) * 4


class PiecesResponse(Response):
    """A body of known length, sent in pieces, so that a slow reader's memory stays bounded."""

    def __init__(
        self, parts: list[bytes | _Base64], headers: dict[str, str], media_type: str
    ) -> None:
        super().__init__(None, 200, headers, media_type)
        self.headers["content-length"] = str(sum(map(len, parts)))
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the body piece by piece."""
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        for piece in self._pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _pieces(self) -> Iterator[bytes]:
        for part in self._parts:
            data = memoryview(part.data if isinstance(part, _Base64) else part)
            for start in range(0, len(data), _PIECE_BYTES):
                piece = bytes(data[start : start + _PIECE_BYTES])
                yield pybase64.b64encode(piece) if isinstance(part, _Base64) else piece


class _InMemoryParser(MultiPartParser):
    """Starlette's parser without its spool to disk: the body is bounded already."""

    def __init__(self, request: Request, stream: AsyncIterator[bytes], max_bytes: int) -> None:
        super().__init__(
            request.headers,
            stream,  # type: ignore[arg-type]
            max_files=1,
            max_fields=_MAX_FIELDS,
            max_part_size=max_bytes,
        )
        self.spool_max_size = max_bytes


async def _parse_multipart(request: Request, max_bytes: int) -> FormData:
    try:
        return await _InMemoryParser(request, request.stream(), max_bytes).parse()
    except (MultiPartException, KeyError) as error:
        reason = error.message if isinstance(error, MultiPartException) else "no boundary"
        raise MalformedRequest(f"the multipart body cannot be read: {reason}") from None


async def _read_all(request: Request) -> bytearray:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
    return body


def _from_json(body: bytearray, query: dict[str, str]) -> RemovalRequest:
    try:
        parsed = JsonRemovalRequest.model_validate_json(body)
    except ValidationError as error:
        raise MalformedRequest(_explain(error)) from None
    given = parsed.model_dump(exclude={"image"}, exclude_unset=True)
    data = _not_empty(decode_base64(parsed.image))
    return RemovalRequest(data, _options(_merge(given, query)))


async def _from_form(form: FormData, query: dict[str, str]) -> RemovalRequest:
    fields = _without_repeats(form.multi_items(), "form")
    sources = [name for name in (*_FILE_FIELDS, _BASE64_FIELD) if name in fields]
    if len(sources) != 1:
        raise MalformedRequest(
            "send the picture in exactly one of the fields image, file, image_base64; "
            f"got {', '.join(sources) or 'none'}"
        )
    source = fields.pop(sources[0])
    options = {}
    for name, value in fields.items():
        if isinstance(value, UploadFile):
            raise MalformedRequest(f"unexpected file in the field {name!r}")
        options[name] = value
    data = await source.read() if isinstance(source, UploadFile) else decode_base64(source)
    return RemovalRequest(_not_empty(data), _options(_merge(options, query)))


def _options(given: dict[str, Any]) -> RemovalOptions:
    """Options from text values, as they come in a form or a query."""
    try:
        return RemovalOptions.model_validate_strings(given)
    except ValidationError as error:
        raise MalformedRequest(_explain(error)) from None


def _merge(body: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
    for name in body.keys() & query.keys():
        raise MalformedRequest(f"the option {name!r} is given twice, in the body and in the query")
    return body | query


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
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        name = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            known = ", ".join(RemovalOptions.model_fields)
            reasons.append(f"unknown option {name!r}; the options are: {known}")
        else:
            reasons.append(f"{name}: {item['msg']}" if name else item["msg"])
    return "; ".join(reasons)
