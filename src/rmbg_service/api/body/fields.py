"""The fields of a body as they came: what they mean is decided by whoever asks for them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import unquote_plus

from rmbg_service.api.body.base64_text import decode_base64, unescape_form, unescape_json
from rmbg_service.errors import MalformedRequest

MAX_FIELDS = 40
MAX_TEXT = 12_000
"""Bytes of a field that is neither an image nor base64: a URL of 4,000 escaped characters."""

_SIGNATURE_BYTES = 32
_NOT_TEXT = re.compile(rb"[^\t\n\r\x20-\x7e]")

Fields: TypeAlias = list[tuple[str, Any]]
"""Names and values in the order they came: a `RawField`, or a short value of a JSON object."""


@dataclass(frozen=True)
class RawField:
    """A value's bytes, not decoded yet."""

    data: bytes | memoryview

    def text(self) -> str:
        """The value as text; raises `MalformedRequest` if it is longer than `MAX_TEXT`."""
        if len(self.data) > MAX_TEXT:
            raise MalformedRequest("the value is too long")
        return self._text(bytes(self.data))

    def base64(self) -> bytes:
        """The bytes that the value is the base64 text of, or raise `MalformedRequest`."""
        return decode_base64(self.data)

    def _text(self, data: bytes) -> str:
        return data.decode("utf-8", "replace")


@dataclass(frozen=True)
class Part(RawField):
    """A part of a multipart body; `is_file` if it has a file name."""

    is_file: bool

    def file(self) -> bytes:
        """The bytes of a file that is sent as it is, or as base64 text without a file name.

        Clients also send files without a name: every image file begins with bytes that no text
        holds. Raises `MalformedRequest` for text that is not base64.
        """
        is_binary = _NOT_TEXT.search(bytes(self.data[:_SIGNATURE_BYTES])) is not None
        return bytes(self.data) if self.is_file or is_binary else self.base64()


@dataclass(frozen=True)
class LongJsonString(RawField):
    """A string of a JSON object that is longer than `MAX_TEXT`, its escapes not undone."""

    def base64(self) -> bytes:
        """See `RawField.base64`."""
        return decode_base64(unescape_json(memoryview(self.data)))


@dataclass(frozen=True)
class FormValue(RawField):
    """A value of an `application/x-www-form-urlencoded` body, its escapes not undone."""

    def base64(self) -> bytes:
        """See `RawField.base64`."""
        return decode_base64(unescape_form(memoryview(self.data)))

    def _text(self, data: bytes) -> str:
        return unquote_plus(data.decode("latin-1"))


def base64_value(value: object) -> bytes:
    """The bytes that a field is the base64 text of, or raise `MalformedRequest`."""
    if isinstance(value, RawField):
        return value.base64()
    if isinstance(value, str):
        return decode_base64(value.encode())
    raise MalformedRequest("expected base64 text")


def plain_value(name: str, value: object) -> object:
    """The value of a field that is not an image: text, or a value of a JSON object."""
    if not isinstance(value, RawField):
        return value
    if isinstance(value, Part) and value.is_file:
        raise MalformedRequest("unexpected file in the field {name}", name=shown(name))
    try:
        return value.text()
    except MalformedRequest:
        raise MalformedRequest("the value of {name} is too long", name=shown(name)) from None


def shown(name: str) -> str:
    """A field's name as an error quotes it."""
    return repr(name[:64])


def without_repeats(fields: Fields, where: str) -> Mapping[str, Any]:
    """The fields by name; raises `MalformedRequest` if one is given twice."""
    values: dict[str, Any] = {}
    for name, value in fields:
        if name in values:
            raise MalformedRequest(
                "the field {name} is given twice in the {where}", name=shown(name), where=where
            )
        values[name] = value
    return values
