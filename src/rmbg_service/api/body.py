"""A request's body, read once and bounded, before anyone asks what its fields mean."""

from collections.abc import AsyncIterator
from email.utils import quote

import pybase64
from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers
from starlette.formparsers import MultiPartException, MultiPartParser

from rmbg_service.errors import MalformedRequest

MAX_FIELDS = 40
MAX_TEXT = 12_000  # a URL of 4,000 characters, every one of them escaped
_MAX_JSON_MARKS = 500
BINARY = {"type": "string", "format": "binary"}
"""OpenAPI's schema of a file."""
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def content_type(request: Request) -> str:
    """The media type of the body, in lower case and without parameters; empty when missing."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_bytes(request: Request) -> bytearray:
    """The whole body."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
    return body


async def read_json(request: Request) -> bytearray:
    """The whole body of a flat JSON object, not parsed yet.

    Raises `MalformedRequest` for one of very many members: counting is a hundred times cheaper than
    parsing millions of them and explaining each.
    """
    body = await read_bytes(request)
    if any(body.count(mark) > _MAX_JSON_MARKS for mark in b'",:[{'):
        raise MalformedRequest("too many JSON members for a request")
    return body


async def read_multipart(request: Request, max_bytes: int) -> FormData:
    """The fields and files of a multipart body; the caller closes them.

    Fields and names hold a character for each byte, whatever they are: see `utf8_text`. Raises
    `MalformedRequest`.
    """
    try:
        return await _InMemoryParser(request, request.stream(), max_bytes).parse()
    except MultiPartException as error:
        raise MalformedRequest(f"the multipart body cannot be read: {error.message}") from None


def utf8_text(field: str) -> str:
    """What a short field of a multipart body says, or its name; a long one stays as it is."""
    if len(field) > MAX_TEXT:
        return field
    return field.encode("latin-1").decode("utf-8", "replace")


def decode_base64(text: str | bytes) -> bytes:
    """Bytes of base64 text or of a base64 `data:` URI; line breaks and URL-safe text are fine.

    Raises `MalformedRequest` for anything else.
    """
    try:
        text = text.encode("ascii") if isinstance(text, str) else text
        if text.startswith(b"data:"):
            head, comma, text = text.partition(b",")
            if not comma or not head.lower().endswith(b";base64"):
                raise MalformedRequest("the data: URI must be base64, as in data:image/png;base64,")
        try:
            return pybase64.b64decode(text, validate=True)
        except ValueError:
            tidy = text.translate(_URL_SAFE, delete=b" \t\r\n").rstrip(b"=")
            return pybase64.b64decode(tidy + b"=" * (-len(tidy) % 4), validate=True)
    except ValueError:
        raise MalformedRequest("the image is not valid base64") from None


class _InMemoryParser(MultiPartParser):
    """Starlette's parser without its spool to disk: the body is bounded already.

    It reads every field as Latin-1, in which a byte is a character. Read in the client's charset, a
    field could take seconds (punycode) or four bytes a character.
    """

    def __init__(self, request: Request, stream: AsyncIterator[bytes], max_bytes: int) -> None:
        _, options = parse_options_header(request.headers["content-type"])
        if b"boundary" not in options:
            raise MultiPartException("its Content-Type has no boundary")
        boundary = quote(options[b"boundary"].decode("latin-1"))
        headers = {"content-type": f'multipart/form-data; charset=latin-1; boundary="{boundary}"'}
        super().__init__(
            Headers(headers),
            stream,  # type: ignore[arg-type]
            max_files=MAX_FIELDS,
            max_fields=MAX_FIELDS,
            max_part_size=max_bytes,
        )
        self.spool_max_size = max_bytes
