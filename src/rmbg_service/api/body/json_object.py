"""A JSON object whose long strings, the images, are never parsed.

They are cut out first, which costs a search for quotation marks, and a small text is left for the
parser. One call on a body of 40 MB would keep every other thread waiting for a tenth of a second.
"""

import codecs
import json
import math
from typing import Any

from rmbg_service.api.body.fields import MAX_TEXT, Fields, LongJsonString
from rmbg_service.errors import MalformedRequest

_MAX_MARKS = 500
_MAX_SHORT_BYTES = 1 << 20
_MAX_BACKSLASHES = 1000
_PLACEHOLDER = "\0"  # in JSON only as an escape


class _Pairs(list[tuple[str, Any]]):
    """The members of an object, repeated ones included."""


def json_fields(text: bytes) -> Fields:
    """The members of the JSON object `text`; strings of more than `MAX_TEXT` bytes stay raw.

    Raises `MalformedRequest` for anything else, and for an object of very many members.
    """
    has_bom = text.startswith(codecs.BOM_UTF8)  # may be ignored (RFC 8259, section 8.1)
    short, long_strings = _cut(text, len(codecs.BOM_UTF8) if has_bom else 0)
    if any(short.count(mark) > _MAX_MARKS for mark in b'",:[{'):
        raise MalformedRequest("too many JSON members for a request")
    try:
        members = json.loads(
            short.decode(),
            object_pairs_hook=_Pairs,
            parse_float=_finite,
            parse_constant=_finite,
        )
        # Lone surrogates, which no UTF-8 text can hold, come from escapes.
        json.dumps(members, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise MalformedRequest("invalid JSON: {reason}", reason=error.msg) from None
    except UnicodeError:
        raise MalformedRequest("invalid JSON: the text is not UTF-8") from None
    except (ValueError, RecursionError):
        raise MalformedRequest("invalid JSON: a value is out of range") from None
    if not isinstance(members, _Pairs):
        raise MalformedRequest("the body is not a JSON object")
    if any(name.startswith(_PLACEHOLDER) for name, _ in members):
        raise MalformedRequest("the name of a JSON member is too long")
    return [(name, _restored(value, long_strings)) for name, value in members]


def _cut(text: bytes, position: int) -> tuple[bytearray, list[LongJsonString]]:
    """`text` from `position` on, with a placeholder for each long string, and those strings."""
    view, short = memoryview(text), bytearray()
    long_strings: list[LongJsonString] = []
    quotes = 0
    while (start := text.find(b'"', position)) >= 0:
        end, escaped = _end_of_string(text, start)
        quotes += 2 + escaped
        if start - position > MAX_TEXT or len(short) > _MAX_SHORT_BYTES:
            raise MalformedRequest("the members of the JSON object other than images are too long")
        if quotes > _MAX_MARKS:
            raise MalformedRequest("too many JSON members for a request")
        short += view[position:start]
        if end - start > MAX_TEXT:
            short += json.dumps(f"{_PLACEHOLDER}{len(long_strings)}").encode()
            long_strings.append(LongJsonString(view[start + 1 : end]))
        else:
            short += view[start : end + 1]
        position = end + 1
    if len(text) - position > MAX_TEXT:
        raise MalformedRequest("the members of the JSON object other than images are too long")
    return short + view[position:], long_strings


def _end_of_string(text: bytes, start: int) -> tuple[int, int]:
    """The closing quotation mark of the string that opens at `start`; the escaped ones before."""
    end, escaped = text.find(b'"', start + 1), 0
    while end >= 0:
        before = text[max(start + 1, end - _MAX_BACKSLASHES) : end]
        backslashes = len(before) - len(before.rstrip(b"\\"))
        if backslashes == _MAX_BACKSLASHES or escaped > _MAX_MARKS:
            break
        if backslashes % 2 == 0:
            return end, escaped
        escaped += 1
        end = text.find(b'"', end + 1)
    raise MalformedRequest("invalid JSON: a string does not end")


def _restored(value: object, long_strings: list[LongJsonString]) -> object:
    if not (isinstance(value, str) and value.startswith(_PLACEHOLDER)):
        return value
    index = value.removeprefix(_PLACEHOLDER)
    if index.isdecimal() and int(index) < len(long_strings):
        return long_strings[int(index)]
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
