"""JSON bodies whose images are never parsed, and what attackers make of them."""

import base64
import json
from typing import Any

import pytest

from rmbg_service.api.body.fields import MAX_TEXT, LongJsonString
from rmbg_service.api.body.json_object import json_fields
from rmbg_service.errors import MalformedRequest

RAW = bytes(range(256)) * 400
B64 = base64.b64encode(RAW).decode()


def read(text: str | bytes) -> list[tuple[str, Any]]:
    return json_fields(text if isinstance(text, bytes) else text.encode())


def test_short_values_are_parsed_and_long_ones_stay_raw() -> None:
    given = {"a": 1, "image": B64, "b": None, "c": [True, {"d": 0.5}], "e": '"\\\n\u20ac'}
    fields = dict(read(json.dumps(given)))
    image = fields.pop("image")
    assert isinstance(image, LongJsonString)
    assert image.base64() == RAW
    assert fields.pop("c")[0] is True
    assert fields == {"a": 1, "b": None, "e": '"\\\n\u20ac'}


@pytest.mark.parametrize(
    "escaped",
    [
        B64.replace("/", "\\/"),
        B64.replace("+", "\\u002b").replace("=", "\\u003D"),
        B64.replace("/", "\\u002F"),
        "\\r\\n".join(B64[i : i + 76] for i in range(0, len(B64), 76)),
        "\\n\\t".join(B64[i : i + 76] for i in range(0, len(B64), 76)),
        "data:image\\/png;base64," + B64.replace("/", "\\/"),
        B64.replace("+", "-").replace("/", "_").rstrip("="),
    ],
    ids=["PHP", ".NET", "slash by number", "wrapped", "indented", "data URI", "URL-safe"],
)
def test_the_escapes_of_json_encoders_are_undone_in_base64(escaped: str) -> None:
    assert json.loads(f'"{escaped}"')
    ((_, image),) = read(f'{{"image": "{escaped}"}}')
    assert image.base64() == RAW


def test_escapes_are_undone_across_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    escaped = B64.replace("+", "\\u002b").replace("/", "\\/")
    for step in (13, 17, 64, 1000):
        monkeypatch.setattr("rmbg_service.api.body.base64_text._STEP_BYTES", step)
        ((_, image),) = read(f'{{"image": "{escaped}"}}')
        assert image.base64() == RAW


def test_members_that_repeat_are_all_told() -> None:
    names = [name for name, _ in read(f'{{"a": 1, "image": "{B64}", "a": 2, "image": "{B64}"}}')]
    assert names == ["a", "image", "a", "image"]


def test_what_looks_like_a_placeholder_is_text() -> None:
    assert read('{"a": "\\u0000", "b": "\\u00009", "c": "\\u0000x"}') == [
        ("a", "\0"),
        ("b", "\x009"),
        ("c", "\0x"),
    ]


LONG = "x" * (MAX_TEXT + 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "invalid JSON"),
        (b"{", "invalid JSON"),
        (b'{"a', "does not end"),
        (b'{"a\\"', "does not end"),
        (b'{"a": "' + b"\\" * 100_000, "does not end"),
        (b'{"a": "' + b"\\" * 100_000 + b'"}', "does not end"),
        (b'{"a": "' + b'\\"' * 100_000 + b'"}', "does not end"),
        (b"[]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (f'"{LONG}"'.encode(), "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"[" * 400, "invalid JSON"),
        (b"[" * 400 + b"]" * 400, "not a JSON object"),
        (b"[" * 5000 + b"]" * 5000, "too many JSON members"),
        (b'{"a":' * 400 + b"1" + b"}" * 400, "too many JSON members"),
        (b"{" + b",".join(b'"a%d":1' % n for n in range(600)) + b"}", "too many JSON members"),
        (b'{"a": [' + b"1," * 600 + b"1]}", "too many JSON members"),
        (b'{"a": NaN}', "out of range"),
        (b'{"a": -Infinity}', "out of range"),
        (b'{"a": 1e999}', "out of range"),
        (b'{"a": ' + b"1" * 10_000 + b"}", "out of range"),
        (b'{"a": ' + b"1" * 20_000 + b"}", "too long"),
        (b'{"a": 0.' + b"1" * 20_000 + b"}", "too long"),
        (b'{"a":' + b" " * 20_000 + b'"b"}', "too long"),
        (b'{"a": 1}' + b" " * 20_000, "too long"),
        (f'{{"{LONG}": 1}}'.encode(), "name of a JSON member is too long"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a": "\\ud800"}', "not UTF-8"),
        (b'{"\\udfff": 1}', "not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "invalid JSON"),
    ],
)
def test_what_is_not_a_request_is_refused(text: bytes, says: str) -> None:
    with pytest.raises(MalformedRequest, match=says):
        read(text)


@pytest.mark.parametrize("escape", ["\\u00e9", "\u00e9", "\N{GRINNING FACE}", "%", "="])
def test_a_long_string_that_is_not_base64_is_refused(escape: str) -> None:
    ((_, image),) = read(f'{{"image": "{escape * 20_000}AA"}}')
    with pytest.raises(MalformedRequest, match="not valid base64"):
        image.base64()
