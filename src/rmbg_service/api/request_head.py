"""The head of an HTTP request as it comes: where it ends, and how long it is."""

import re
from itertools import islice

MAX_HEAD_BYTES = 65_536
MAX_HEADERS = 100

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
