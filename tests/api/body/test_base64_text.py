"""Base64 in the spellings that clients use."""

import base64
import json
from unittest import mock
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmbg_service.api.body.base64_text import decode_base64, unescape_form, unescape_json
from rmbg_service.errors import MalformedRequest

RAW = bytes(range(256)) * 4 + b"?"
B64 = base64.b64encode(RAW)


@pytest.mark.parametrize(
    "text",
    [
        B64,
        B64.rstrip(b"="),
        base64.urlsafe_b64encode(RAW),
        base64.encodebytes(RAW),
        b" \t\r\n".join(B64[i : i + 5] for i in range(0, len(B64), 5)),
        b"data:image/png;base64," + B64,
        b"data:;BASE64," + base64.encodebytes(RAW),
        bytearray(B64),
        memoryview(B64),
    ],
)
def test_every_spelling_gives_the_same_bytes(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert decode_base64(text) == RAW
    monkeypatch.setattr("rmbg_service.api.body.base64_text._STEP_BYTES", 7)
    assert decode_base64(text) == RAW


def test_blank_text_is_no_bytes() -> None:
    assert decode_base64(b"") == decode_base64(b" \n" * 10_000) == b""


@pytest.mark.parametrize(
    "text",
    [
        b"%%%",
        b"A",
        B64 + B64,
        b"data:image/png," + B64,
        b"data:image/png" + B64,
        b"data:" + b";" * 5000 + b"base64," + B64,
        "\u00e9".encode() * 4,
        b"\0" * 4,
    ],
)
def test_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedRequest, match=r"base64"):
        decode_base64(text)


@given(st.text("%+/=aF2x", max_size=40), st.integers(4, 40))
def test_percent_escapes_are_those_of_the_standard_library(text: str, step: int) -> None:
    with mock.patch("rmbg_service.api.body.base64_text._STEP_BYTES", step):
        plain = unescape_form(memoryview(text.encode()))
    assert plain == unquote_to_bytes(text).replace(b" ", b"+")


@pytest.mark.parametrize("step", [8, 9, 10, 11, 1000])
def test_escapes_of_json_are_found_wherever_a_step_ends(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmbg_service.api.body.base64_text._STEP_BYTES", step)
    text = rb"a\/b\u002bc\u002F\u003d\r\nd" * 5
    assert unescape_json(memoryview(text)) == b"a/b+c/=d" * 5


@given(
    st.lists(
        st.sampled_from([r"\/", r"\u0041", r"\u002F", r"\n", r"\r", r"\t", "a", "/", "="]),
        max_size=30,
    )
)
def test_escapes_of_json_are_those_of_the_standard_library(parts: list[str]) -> None:
    text = "".join(parts)
    with mock.patch("rmbg_service.api.body.base64_text._STEP_BYTES", 9):
        plain = unescape_json(memoryview(text.encode()))
    expected = json.loads(f'"{text}"').translate(dict.fromkeys(b"\n\r\t"))
    assert plain.decode() == expected


@pytest.mark.parametrize(
    "text", [r"\\u0041", r"\u00e9", r"\u12", r"\u00zz", r"\x", "\\", r"\f", r"a\u004"]
)
def test_what_is_not_base64_stays_and_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequest):
        decode_base64(unescape_json(memoryview(text.encode())))
