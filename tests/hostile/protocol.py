"""Hostile ways to speak HTTP, for the tests and for measuring an honest client beside each.

Each of `ATTACKS` goes on against the service at 127.0.0.1 until it is told to stop; what it sends
is as large as `GET /api/info` says a body may be.
"""

import base64
import http.client
import json
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

Attack = Callable[[int, threading.Event], None]
MAX_CONNECTIONS = 1000
_TIMEOUT_S = 30.0
_POLL_S = 0.2
_PAUSE_S = 0.05
NATIVE = "/api/remove-bg"
REMOVEBG = "/v1.0/removebg"
PLAIN = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
_CHUNKED = b"POST /api/remove-bg HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n" + (
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_SIZED = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"


def max_body_bytes(port: int) -> int:
    """The bytes that the service allows in a body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/api/info")
        limits: dict[str, int] = json.load(connection.getresponse())["limits"]
        return limits["max_body_bytes"]
    finally:
        connection.close()


def _in_parallel(connections: int, work: Callable[[], None], stop: threading.Event) -> None:
    """Do `work` on so many connections, again and again until `stop` is set."""
    connections = min(connections, MAX_CONNECTIONS)

    def again_and_again() -> None:
        while not stop.is_set():
            with suppress(OSError, http.client.HTTPException):
                work()
            stop.wait(_PAUSE_S)

    threads = [threading.Thread(target=again_and_again) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), _TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _send(connection: socket.socket, data: bytes, stop: threading.Event) -> None:
    connection.settimeout(_POLL_S)
    rest = memoryview(data)
    while rest and not stop.is_set():
        with suppress(TimeoutError):
            rest = rest[connection.send(rest) :]


def _drain(connection: socket.socket, stop: threading.Event) -> None:
    while not stop.is_set():
        with suppress(TimeoutError):
            if not connection.recv(1 << 16):
                return


def _write(
    port: int,
    stop: threading.Event,
    make: Callable[[int], Iterator[bytes]],
    connections: int = 30,
    pause_s: float = 0.0,
    *,
    reads: bool = True,
) -> None:
    """Write what `make` yields for a body's limit; read the responses only in the end, if at all.

    With a pause after each write, the connection waits in between.
    """
    limit = max_body_bytes(port)

    def work() -> None:
        with _connect(port) as connection:
            for chunk in make(limit):
                if stop.is_set():
                    return
                _send(connection, chunk, stop)
                if pause_s:
                    stop.wait(pause_s)
            if reads:
                connection.shutdown(socket.SHUT_WR)
                _drain(connection, stop)
            else:
                stop.wait(_TIMEOUT_S)

    _in_parallel(connections, work, stop)


def _post(
    port: int,
    stop: threading.Event,
    make: Callable[[int], tuple[str, str, bytes]],
    connections: int = 6,
) -> None:
    """Post a body, made once, on so many connections at a time."""
    path, kind, body = make(max_body_bytes(port))

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
        try:
            connection.request("POST", path, body, {"Content-Type": kind})
            connection.getresponse().read()
        finally:
            connection.close()

    _in_parallel(connections, work, stop)


def pipelined(limit: int) -> Iterator[bytes]:
    """7.6 MB of requests, none of them waiting for the response to the one before."""
    for _ in range(0, min(limit, 7_600_000), len(PLAIN) * 1000):
        yield PLAIN * 1000


def pipelined_after_a_chunked_body(limit: int) -> Iterator[bytes]:
    """The same behind a body whose end only the parser knows."""
    yield _CHUNKED + b"1\r\na\r\n0\r\n\r\n" + PLAIN * 5000
    yield from pipelined(limit)


def tiny_chunks(limit: int) -> Iterator[bytes]:
    """A body in chunks of one byte."""
    yield _CHUNKED
    for _ in range(0, limit, 10_000):
        yield b"1\r\nx\r\n" * 10_000


def tiny_segments(limit: int) -> Iterator[bytes]:
    """A body of known length in packets of one byte."""
    yield _SIZED % (NATIVE.encode(), b"image/png", limit)
    for _ in range(min(limit, 100_000)):
        yield b"x"


def huge_head(_: int) -> Iterator[bytes]:
    """A header of 8 MB."""
    yield b"GET /livez HTTP/1.1\r\nX: "
    for _ in range(128):
        yield b"x" * 65_536


def many_headers(_: int) -> Iterator[bytes]:
    """60 KB of headers of two letters, with all that a list in a header can hold."""
    yield b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"a:b\r\n" * 12_000 + b"\r\n"


def long_lists(_: int) -> Iterator[bytes]:
    """A head that is all commas: Accept, Prefer, a query and a Content-Type."""
    for name in (b"Accept", b"Prefer", b"If-None-Match", b"Content-Type"):
        mark = b";" if name == b"Content-Type" else b","
        head = b"GET /docs?%b HTTP/1.1\r\nHost: x\r\n%b: %b\r\n\r\n"
        yield head % (b"a&" * 8000, name, mark * 40_000)


def slow_head(_: int) -> Iterator[bytes]:
    """A head that comes byte by byte."""
    yield b"GET /livez HTTP/1.1\r\nX: "
    for _ in range(10_000):
        yield b"x"


def slow_body(limit: int) -> Iterator[bytes]:
    """A body that comes byte by byte."""
    yield _SIZED % (NATIVE.encode(), b"image/png", limit)
    for _ in range(10_000):
        yield b"x"


def half_request(_: int) -> Iterator[bytes]:
    """A head without an end, after which the client closes its side."""
    yield b"POST /api/remove-bg HTTP/1.1\r\nHost:"


def unread_responses(limit: int) -> Iterator[bytes]:
    """Requests for the largest response that needs no work, never read."""
    for _ in range(0, limit, 10_000):
        yield b"GET /static/swagger/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 100


def _base64(size: int) -> bytes:
    return base64.b64encode(random.Random(0).randbytes(size // 4 * 3))


def json_body(path: str, value: bytes, name: str = "") -> Callable[[int], tuple[str, str, bytes]]:
    """A JSON object of one member whose value is `value` over and over."""
    name = name or ("image" if path == NATIVE else "image_file_b64")

    def make(limit: int) -> tuple[str, str, bytes]:
        size = limit - 100
        text = (value * (size // len(value) + 1))[:size] if value else _base64(size)
        return path, "application/json", b'{"%b": "%b"}' % (name.encode(), text)

    return make


def json_number(limit: int) -> tuple[str, str, bytes]:
    """A number of tens of millions of digits."""
    return NATIVE, "application/json", b'{"image": ' + b"1" * (limit - 20) + b"}"


def json_nested(limit: int) -> tuple[str, str, bytes]:
    """Arrays in arrays."""
    return NATIVE, "application/json", b'{"image": ' + b"[" * (limit - 20)


def json_members(limit: int) -> tuple[str, str, bytes]:
    """An object of millions of members."""
    return NATIVE, "application/json", b"{" + b'"a":1,' * (limit // 6 - 1) + b'"a":1}'


def urlencoded(value: bytes) -> Callable[[int], tuple[str, str, bytes]]:
    """A form whose picture is `value` over and over."""

    def make(limit: int) -> tuple[str, str, bytes]:
        body = b"image_file_b64=" + value * ((limit - 100) // len(value))
        return REMOVEBG, "application/x-www-form-urlencoded", body

    return make


def multipart(path: str, value: bytes) -> Callable[[int], tuple[str, str, bytes]]:
    """A part that is `value` over and over: nearly the boundary, or line breaks."""

    def make(limit: int) -> tuple[str, str, bytes]:
        head = b'--bb\r\nContent-Disposition: form-data; name="image"\r\n\r\n'
        body = head + value * ((limit - 200) // len(value)) + b"\r\n--bb--\r\n"
        return path, "multipart/form-data; boundary=bb", body

    return make


def multipart_parts(limit: int) -> tuple[str, str, bytes]:
    """Hundreds of thousands of parts."""
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    return NATIVE, "multipart/form-data; boundary=b", part * (limit // len(part) - 1) + b"--b--"


ATTACKS: dict[str, Attack] = {
    "pipelined": partial(_write, make=pipelined),
    "pipelined-unread": partial(_write, make=pipelined, reads=False),
    "pipelined-after-chunks": partial(_write, make=pipelined_after_a_chunked_body),
    "tiny-chunks": partial(_write, make=tiny_chunks, connections=6),
    "tiny-segments": partial(_write, make=tiny_segments, connections=6),
    "huge-head": partial(_write, make=huge_head),
    "many-headers": partial(_write, make=many_headers),
    "long-lists": partial(_write, make=long_lists),
    "slow-heads": partial(_write, make=slow_head, connections=200, pause_s=1.0),
    "slow-bodies": partial(_write, make=slow_body, connections=200, pause_s=1.0),
    "half-requests": partial(_write, make=half_request),
    "unread-responses": partial(_write, make=unread_responses, reads=False),
    "json": partial(_post, make=json_body(NATIVE, b"")),
    "json-escapes": partial(_post, make=json_body(NATIVE, b"\\u0041")),
    "json-slashes": partial(_post, make=json_body(NATIVE, b"\\/")),
    "json-backslashes": partial(_post, make=json_body(NATIVE, b"\\\\")),
    "json-quotes": partial(_post, make=json_body(NATIVE, b'\\"')),
    "json-blanks": partial(_post, make=json_body(NATIVE, b" ")),
    "json-emoji": partial(_post, make=json_body(REMOVEBG, "\N{GRINNING FACE}".encode())),
    "json-long-option": partial(_post, make=json_body(REMOVEBG, b"1", "size")),
    "json-unknown": partial(_post, make=json_body(NATIVE, b"x", "unknown")),
    "json-number": partial(_post, make=json_number),
    "json-nested": partial(_post, make=json_nested),
    "json-members": partial(_post, make=json_members),
    "form": partial(_post, make=urlencoded(b"AAAA%2B%2FAA")),
    "form-escapes": partial(_post, make=urlencoded(b"%2B%2F%3D")),
    "form-blanks": partial(_post, make=urlencoded(b"+")),
    "form-fields": partial(_post, make=urlencoded(b"&")),
    "multipart-line-feeds": partial(_post, make=multipart(NATIVE, b"\r\n")),
    "multipart-carriage-returns": partial(_post, make=multipart(NATIVE, b"\r")),
    "multipart-boundaries": partial(_post, make=multipart(NATIVE, b"\r\n--b")),
    "multipart-parts": partial(_post, make=multipart_parts),
}
