"""Base64 in the spellings that clients use."""

import base64

import pytest

from rmbg_service.api.body.base64_text import decode_base64
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
