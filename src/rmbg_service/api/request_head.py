"""The head of an HTTP request as it comes: where it ends, how long it is, what follows it."""

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from httptools import HttpRequestParser

MAX_HEAD_BYTES = 65_536
MAX_HEADERS = 100
TOO_LARGE = f"a request may have {MAX_HEAD_BYTES} bytes and {MAX_HEADERS} fields in its head"

_END = re.compile(rb"\n\r?\n")
_LINE = re.compile(rb"\n[^\r\n]")  # the beginning of a header, or of a request after blank lines


class HeadScanner:
    """Finds the end of a head in what arrives, and counts its headers before a parser sees them.

    The parser takes as long for each header as for a small request, and it cannot be stopped.
    """

    def __init__(self) -> None:
        self._tail = b""
        self._lines = 0

    @property
    def too_many(self) -> bool:
        """Whether the head has more lines than `MAX_HEADERS` headers and a request line."""
        return self._lines > MAX_HEADERS + 1

    def scan(self, data: memoryview) -> int:
        """How many bytes of `data` belong to the head: all of them if it does not end there."""
        known = len(self._tail)
        window = self._tail + data[: MAX_HEAD_BYTES + 1]
        end = _END.search(window)
        size = len(data) if end is None else end.end() - known
        lines = _LINE.finditer(window, max(0, known - 1), known + size)
        self._lines += sum(1 for _ in islice(lines, MAX_HEADERS + 2))  # more than are allowed
        self._tail = b"" if end is not None else window[-2:]
        return size

    def restart(self) -> None:
        """Begin to count: the next head is another one."""
        self._lines = 0


def fault(headers: Sequence[tuple[bytes, bytes]], version: str) -> str:
    """Why a request of an HTTP `version` with these `headers` is refused; empty if it is not.

    Names are in lower case. A proxy in front may see another host or another end of the body in
    such a request, and let through what it was to hold back (RFC 9112, sections 3.2 and 6.1).
    """
    hosts = sum(name == b"host" for name, _ in headers)
    if hosts > 1 or (hosts == 0 and version >= "1.1"):
        return "a request has exactly one Host field"
    codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    if codings not in ([], [b"chunked"]):
        return "the only Transfer-Encoding is chunked"
    return ""


class _BodyEvents:
    """The callbacks of a parser that has no head to report."""

    def __init__(self, protocol: Any) -> None:
        self.on_chunk_header = protocol.on_chunk_header
        self.on_body = protocol.on_body
        self.on_message_complete = protocol.on_message_complete


def body_parser(protocol: Any, headers: Iterable[tuple[bytes, bytes]]) -> HttpRequestParser:
    """A parser of the body that `headers` announce; without one, it ends at once.

    To httptools, what follows a head with `Upgrade` is another protocol. A server that knows none
    ignores this header (RFC 9110, section 7.8), which curl and Java's client send with a body.
    """
    framing = (b"content-length", b"transfer-encoding")
    lines = [name + b": " + value for name, value in headers if name in framing]
    parser = HttpRequestParser(_BodyEvents(protocol))
    parser.feed_data(b"\r\n".join([b"POST / HTTP/1.1", *lines, b"", b""]))
    return parser
