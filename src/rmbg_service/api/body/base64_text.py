"""Base64 text of tens of megabytes, in steps that let other threads run."""

from collections.abc import Iterator

import numpy as np
import pybase64

from rmbg_service.errors import MalformedRequest

_STEP_BYTES = 1 << 20
_MAX_HEAD = 1000
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_BLANKS = np.frombuffer(b"nrt", np.uint8)  # after a backslash
_HEX_DIGITS = np.full(256, -1, np.int16)
for _digit in b"0123456789abcdefABCDEF":
    _HEX_DIGITS[_digit] = int(chr(_digit), 16)


def decode_base64(text: bytes | bytearray | memoryview) -> bytes:
    """Bytes of base64 text or of a base64 `data:` URI; blanks and URL-safe text are fine.

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
        raise MalformedRequest("not valid base64") from None


def unescape_json(text: memoryview) -> bytearray:
    """`text` without the escapes that encoders of JSON use in base64 and `data:` URIs.

    `\\/`, `\\u00..` for ASCII, and line breaks and tabs, which go. Others stay: no base64 has them.
    """
    plain = bytearray()
    for step in _steps(text, b"\\", 6):
        plain += _without_backslashes(step)
    return plain


def unescape_form(text: memoryview) -> bytearray:
    """`text` without its percent-escapes (RFC 3986, section 2.1); blanks become plus signs.

    Base64 has no blanks: they are the plus signs of a client that has not escaped them.
    """
    plain = bytearray()
    for step in _steps(text, b"%", 3):
        plain += _without_percents(step).replace(b" ", b"+")
    return plain


def _steps(text: memoryview, mark: bytes, longest: int) -> Iterator[bytes]:
    """`text` in parts that cut no escape in two: those begin with `mark`."""
    start = 0
    while start < len(text):
        step = bytes(text[start : start + _STEP_BYTES])
        if start + len(step) < len(text):
            cut = step.rfind(mark, len(step) - longest + 1)
            step = step[:cut] if cut > 0 else step
        start += len(step)
        yield step


def _without_percents(text: bytes) -> bytes:
    """`text` with the escapes of two hexadecimal digits replaced; others stay as they are."""
    values = np.frombuffer(text, np.uint8)
    at = np.flatnonzero(values[:-2] == ord("%"))
    if not len(at):
        return text
    high, low = _HEX_DIGITS[values[at + 1]], _HEX_DIGITS[values[at + 2]]
    valid = (high >= 0) & (low >= 0)
    at = at[valid]
    plain = values.copy()
    plain[at] = high[valid] * 16 + low[valid]
    kept = np.ones(len(plain), bool)
    kept[at + 1] = kept[at + 2] = False
    return plain[kept].tobytes()


def _without_backslashes(text: bytes) -> bytes:
    """`text` with JSON's escapes replaced (RFC 8259, section 7), as `unescape_json` says."""
    values = np.frombuffer(text, np.uint8)
    escapes = values[:-1] == ord("\\")
    if not escapes.any():
        return text
    following = values[1:]
    kept = np.ones(len(values), bool)
    kept[:-1] = ~(escapes & (following == ord("/")))
    blanks = escapes & np.isin(following, _BLANKS)
    kept[:-1] &= ~blanks
    kept[1:] &= ~blanks
    at = np.flatnonzero((escapes & (following == ord("u")))[:-4])
    if not len(at):
        return values[kept].tobytes()
    first, second, high, low = (_HEX_DIGITS[values[at + digit]] for digit in (2, 3, 4, 5))
    ascii_ = (first == 0) & (second == 0) & (high >= 0) & (high < 8) & (low >= 0)
    at = at[ascii_]
    plain = values.copy()
    plain[at] = high[ascii_] * 16 + low[ascii_]
    for digit in range(1, 6):
        kept[at + digit] = False
    return plain[kept].tobytes()


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
