"""Base64 text of tens of megabytes, in steps that let other threads run."""

from collections.abc import Mapping

import pybase64

from rmbg_service.errors import MalformedRequest

_STEP_BYTES = 1 << 20
_MAX_HEAD = 1000
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def decode_base64(text: bytes | bytearray | memoryview) -> bytes:
    """Bytes of base64 text or of a base64 `data:` URI; line breaks and URL-safe text are fine.

    Raises `MalformedRequest` for anything else.
    """
    view = memoryview(text)
    if bytes(view[:5]).lower() == b"data:":  # a scheme has no case (RFC 3986, section 3.1)
        head, comma, _ = bytes(view[:_MAX_HEAD]).partition(b",")
        if not comma or not head.lower().endswith(b";base64"):
            raise MalformedRequest("the data: URI must be base64, as in data:image/png;base64,")
        view = view[len(head) + 1 :]
    try:
        try:
            return pybase64.b64decode(view, validate=True)
        except ValueError:
            return pybase64.b64decode(_tidied(view), validate=True)
    except ValueError:
        raise MalformedRequest("the image is not valid base64") from None


def unescape(text: memoryview, mark: bytes, escapes: Mapping[bytes, bytes]) -> bytearray:
    """`text` with `escapes` replaced, each of which begins with `mark` or is one character."""
    longest = max(map(len, escapes))
    plain = bytearray()
    start = 0
    while start < len(text):
        step = bytes(text[start : start + _STEP_BYTES])
        if start + len(step) < len(text):  # do not cut an escape in two
            cut = step.rfind(mark, len(step) - longest + 1)
            step = step[:cut] if cut > 0 else step
        start += len(step)
        for escape, character in escapes.items():
            step = step.replace(escape, character)
        plain += step
    return plain


def _tidied(text: memoryview) -> bytearray:
    """`text` without blanks, in the standard alphabet and with its padding."""
    tidy = bytearray()
    for start in range(0, len(text), _STEP_BYTES):
        step = bytes(text[start : start + _STEP_BYTES])
        tidy += step.translate(_URL_SAFE, delete=b" \t\r\n")
    padding = len(tidy) - len(tidy.rstrip(b"="))
    del tidy[len(tidy) - padding :]
    tidy += b"=" * (-len(tidy) % 4)
    return tidy
