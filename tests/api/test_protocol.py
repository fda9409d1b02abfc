"""What a connection may send and for how long, one read after the other."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from rmbg_service.api.protocol import (
    MAX_AHEAD_BYTES,
    MAX_TINY_CHUNKS,
    MIN_CHUNK_BYTES,
    BoundedProtocol,
)
from rmbg_service.api.request_head import MAX_HEAD_BYTES, MAX_HEADERS
from tests.fakes import until

CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
SIZED = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
PLAIN = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

Connect = Callable[..., "Connection"]


class Connection(asyncio.Transport):
    """A client's end: what it sends reaches the protocol at once."""

    def __init__(self, protocol: BoundedProtocol) -> None:
        super().__init__()
        self._protocol = protocol
        self.received = b""
        self.open = True
        self.ended = False
        self.reading = True
        protocol.connection_made(self)

    def send(self, data: bytes) -> None:
        if self.open:
            self._protocol.data_received(data)

    def write(self, data: Any) -> None:
        self.received += data

    def abort(self) -> None:
        if self.open:
            self.open = False
            self._protocol.connection_lost(None)

    close = abort

    def is_closing(self) -> bool:
        return not self.open

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    async def answers(self, count: int = 1) -> None:
        await until(lambda: self.received.count(b"done") == count)


class App:
    """Answers at once, when it has read the body or when `gate` opens; keeps what it was given."""

    def __init__(self) -> None:
        self.reads_body = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.scopes: list[Scope] = []
        self.messages: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        more: Message = {"more_body": self.reads_body}
        while more.get("more_body"):
            more = await receive()
            self.messages.append(more)
        await self.gate.wait()
        headers = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"done"})


@pytest.fixture
async def app() -> App:
    return App()


@pytest.fixture
async def connect(app: App) -> AsyncIterator[Connect]:
    config = uvicorn.Config(app, ws="none", log_config=None, lifespan="off")
    config.load()
    made: list[Connection] = []

    def connect(**bounds: float) -> Connection:
        protocol = BoundedProtocol(config, ServerState(), {}, asyncio.get_running_loop())
        vars(protocol).update(bounds)
        made.append(Connection(protocol))
        return made[-1]

    yield connect
    for connection in made:
        connection.abort()


async def closes(connection: Connection) -> None:
    await until(lambda: not connection.open)


async def test_trailers_are_no_headers(app: App, connect: Connect) -> None:
    app.reads_body = True
    connection = connect()
    connection.send(CHUNKED + b"1\r\na\r\n0\r\n")
    for number in range(100):
        connection.send(b"x-trailer-%d: 1\r\n" % number)
    connection.send(b"\r\n")
    await connection.answers()
    assert [name for name, _ in app.scopes[0]["headers"]] == [b"host", b"transfer-encoding"]
    connection.send(PLAIN)
    await connection.answers(2)


@pytest.mark.parametrize("beginning", [b"0\r\na: ", b"0\r\n", b"5;", b"f000000\r\n"])
async def test_no_part_of_a_request_is_without_an_end(connect: Connect, beginning: bytes) -> None:
    """A trailer, many, a chunk's extension, a chunk after the answer."""
    connection = connect(max_message_bytes=200_000)
    connection.send(CHUNKED)
    await connection.answers()
    connection.send(beginning)
    more = b"a: \r\n" * 4000 if beginning == b"0\r\n" else b"b" * 20_000
    for _ in range(9):
        connection.send(more)
    assert connection.open
    connection.send(more)
    assert not connection.open


HEAD = PLAIN[:-2] + b"X-Long: "


@pytest.mark.parametrize("step", [MAX_HEAD_BYTES * 2, MAX_HEAD_BYTES, 10_000, 500])
@pytest.mark.parametrize("over", [0, 1])
async def test_a_head_has_64_kib_however_it_arrives(connect: Connect, step: int, over: int) -> None:
    connection = connect()
    head = HEAD + b"x" * (MAX_HEAD_BYTES - len(HEAD) - 4 + over) + b"\r\n\r\n"
    for start in range(0, len(head), step):
        connection.send(head[start : start + step])
    if over:
        await closes(connection)
        assert connection.received.startswith(b"HTTP/1.1 431 ")
        assert not connection.open
    else:
        await connection.answers()


async def test_blank_lines_before_a_request_count_as_its_head(connect: Connect) -> None:
    connection = connect()
    connection.send(b"\r\n" * (MAX_HEAD_BYTES // 2))
    assert connection.reading
    connection.send(b"\r\n")
    await closes(connection)
    assert b" 431 " in connection.received


async def test_the_head_of_a_second_request_is_bounded_like_that_of_the_first(
    app: App, connect: Connect
) -> None:
    for first in (PLAIN, CHUNKED + b"0\r\n\r\n", SIZED + b"b" * 1000):
        connection = connect()
        connection.send(first)
        await connection.answers()
        connection.send(HEAD + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n")
        await closes(connection)
        assert b"HTTP/1.1 431 " in connection.received


@pytest.mark.parametrize("first", [30, 30_000])
async def test_a_head_with_far_too_many_headers_is_refused_before_it_is_parsed(
    connect: Connect, first: int
) -> None:
    connection = connect()
    head = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a:b\r\n" * 9_000 + b"\r\n"
    connection.send(head[:first])
    if first < 100:
        connection.send(head[first:])
    await closes(connection)
    assert b" 431 " in connection.received
    assert connection._protocol._header_count <= 1


@pytest.mark.parametrize("count", [MAX_HEADERS, MAX_HEADERS + 1])
async def test_a_head_has_at_most_100_headers(app: App, connect: Connect, count: int) -> None:
    connection = connect()
    connection.send(PLAIN[:-2] + b"a: b\r\n" * (count - 1) + b"\r\n")
    if count > MAX_HEADERS:
        await closes(connection)
        assert connection.received.startswith(b"HTTP/1.1 431 ")
        assert app.scopes == []
    else:
        await connection.answers()


REQUESTS = PLAIN + SIZED + b"b" * 1000 + PLAIN + SIZED + b"\r\n\r\n" * 250 + PLAIN


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 997, len(REQUESTS)])
@pytest.mark.parametrize("reads_body", [False, True])
async def test_requests_sent_ahead_are_answered_in_turn(
    app: App, connect: Connect, step: int, reads_body: bool
) -> None:
    app.reads_body = reads_body
    connection = connect()
    for start in range(0, len(REQUESTS), step):
        connection.send(REQUESTS[start : start + step])
    await connection.answers(5)
    assert [scope["method"] for scope in app.scopes] == ["GET", "POST", "GET", "POST", "GET"]
    assert connection.open


async def test_one_request_at_a_time_is_parsed(app: App, connect: Connect) -> None:
    app.gate.clear()
    connection = connect()
    connection.send(PLAIN * 1000)
    await until(lambda: len(app.scopes) == 1)
    connection.send(PLAIN * 1000)
    assert not connection.reading
    assert len(app.scopes) == 1
    app.gate.set()
    await connection.answers(2000)
    assert connection.open


async def test_what_is_sent_ahead_is_bounded(app: App, connect: Connect) -> None:
    app.gate.clear()
    connection = connect()
    connection.send(PLAIN)
    await until(lambda: len(app.scopes) == 1)
    connection.send(b"x" * MAX_AHEAD_BYTES)
    assert len(connection._protocol._ahead) == MAX_AHEAD_BYTES
    connection.send(b"x")
    assert len(connection._protocol._ahead) == 0
    assert not connection.reading
    app.gate.set()
    await connection.answers()
    assert b"connection: close" in connection.received
    assert not connection.open
    assert len(app.scopes) == 1


async def test_a_client_that_does_not_read_gets_no_further_response(
    app: App, connect: Connect
) -> None:
    connection = connect()
    connection.send(PLAIN)
    await connection.answers()
    connection._protocol.pause_writing()
    connection.send(PLAIN * 2)
    await asyncio.sleep(0)
    assert len(app.scopes) == 1
    connection._protocol.resume_writing()
    await connection.answers(3)
    assert connection.open


async def test_a_client_that_does_not_read_for_long_is_closed(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmbg_service.api.protocol._GATE_MARGIN_S", 0.0)
    connection = connect(head_timeout_s=0.01)
    connection._protocol._timers.stop("head")
    connection._protocol.pause_writing()
    await closes(connection)


async def test_where_only_the_parser_knows_the_end_one_read_has_one_request(
    app: App, connect: Connect
) -> None:
    app.reads_body = True
    connection = connect()
    connection.send(CHUNKED + b"1\r\na\r\n0\r\n\r\n" + PLAIN * 10_000)
    await connection.answers()
    assert b"connection: close" in connection.received
    assert not connection.open
    assert len(app.scopes) == 1


@pytest.mark.parametrize(("size", "allowed"), [(MIN_CHUNK_BYTES - 1, False), (70, True)])
async def test_chunks_are_not_tiny_for_long(
    app: App, connect: Connect, size: int, allowed: bool
) -> None:
    app.reads_body = True
    connection = connect()
    connection.send(CHUNKED)
    chunk = b"%x\r\n" % size + b"b" * size + b"\r\n"
    for _ in range(100):
        connection.send(chunk * 4096)
    if allowed:
        connection.send(b"0\r\n\r\n")
        await connection.answers()
    else:
        await closes(connection)
        assert connection.received.startswith(b"HTTP/1.1 400 ")
        assert b"64 bytes on average" in connection.received


async def test_a_thousand_chunks_of_one_byte_are_a_body(app: App, connect: Connect) -> None:
    app.reads_body = True
    connection = connect()
    connection.send(CHUNKED + b"1\r\na\r\n" * (MAX_TINY_CHUNKS - 1) + b"0\r\n\r\n")
    await connection.answers()
    assert sum(len(message["body"]) for message in app.messages) == MAX_TINY_CHUNKS - 1


async def test_small_packets_of_a_body_gather_before_they_are_read(
    app: App, connect: Connect
) -> None:
    app.reads_body = True
    connection = connect()
    connection.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000\r\n\r\n")
    connection.send(b"b" * 1500)
    assert connection.reading
    connection.send(b"b")
    assert not connection.reading
    await until(lambda: connection.reading)
    connection.send(b"b" * 1499)
    assert connection.reading
    await connection.answers()


async def test_the_app_is_not_woken_for_every_byte(
    app: App, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmbg_service.api.protocol._WAKE_S", 3600)
    app.reads_body = True
    connection = connect()
    connection.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\n\r\n")
    for _ in range(100):
        connection.send(b"b")
        await asyncio.sleep(0)
    assert app.messages == []
    connection.send(b"b" * 20_000)
    await until(lambda: len(app.messages) == 1)
    connection.send(b"b" * 19_900)
    await connection.answers()
    assert [len(message["body"]) for message in app.messages] == [20_100, 19_900]


async def test_a_few_bytes_reach_the_app_soon(app: App, connect: Connect) -> None:
    app.reads_body = True
    connection = connect()
    connection.send(SIZED + b"b")
    await until(lambda: len(app.messages) == 1)
    connection.send(b"b" * 999)
    await connection.answers()


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        CHUNKED[:-2] + b"Content-Length: 3\r\n\r\n",
        CHUNKED.replace(b"chunked", b"gzip"),
        CHUNKED.replace(b"chunked", b"gzip, chunked"),
        CHUNKED.replace(b"chunked", b"chunked, chunked"),
        CHUNKED[:-2] + b"Transfer-Encoding: chunked\r\n\r\n",
        UPGRADE[:-2] + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        SIZED.replace(b"1000", b"+3"),
        SIZED.replace(b"1000", b"-3"),
        SIZED.replace(b"1000", b"99999999999999999999999"),
        SIZED.replace(b"1000", b"0x10"),
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET http://x/ HTTP/1.1\r\n\r\n",
        PLAIN[:-2] + b"Host: x\r\n\r\n",
        PLAIN[:-2] + b"host: y\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_is_not_a_request_is_refused_and_closed(
    app: App, connect: Connect, head: bytes
) -> None:
    connection = connect()
    connection.send(head + PLAIN)
    await closes(connection)
    assert connection.received.startswith(b"HTTP/1.1 400 ")
    assert b"x-content-type-options: nosniff" in connection.received
    assert not connection.open
    assert not any(scope["method"] == "GET" for scope in app.scopes)  # which comes after it


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/0.9"])
async def test_older_versions_are_answered_and_closed(
    app: App, connect: Connect, version: bytes
) -> None:
    connection = connect()
    connection.send(b"GET / " + version + b"\r\n\r\n" + PLAIN)
    await connection.answers()
    assert not connection.open
    assert len(app.scopes) == 1


async def test_a_length_may_be_followed_by_blanks(app: App, connect: Connect) -> None:
    app.reads_body = True
    connection = connect()
    connection.send(SIZED.replace(b"1000", b"3 ") + b"abc" + PLAIN)
    await connection.answers(2)
    assert connection.open


async def test_the_next_request_is_not_charged_for_the_last_ones_body(connect: Connect) -> None:
    connection = connect()
    connection.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n")
    await connection.answers()
    connection.send(b"b" * 500_000 + b"\r\n")
    connection.send(b"\r\n")
    connection.send(PLAIN[:9])
    connection.send(PLAIN[9:])
    await connection.answers(2)
    assert connection.open


@pytest.mark.parametrize("rest", [b"b", b"b" * 999])
async def test_a_body_that_does_not_end_after_the_answer(connect: Connect, rest: bytes) -> None:
    connection = connect(rest_timeout_s=0.01)
    connection.send(SIZED)
    await connection.answers()
    connection.send(rest)
    await closes(connection)


async def test_a_body_that_ends_after_the_answer_keeps_the_connection(connect: Connect) -> None:
    connection = connect()
    connection.send(SIZED)
    await connection.answers()
    connection.send(b"b" * 1000)
    connection.send(PLAIN)
    await connection.answers(2)
    assert connection.open


async def test_after_the_rest_of_a_body_the_connection_may_be_idle_for_long(
    connect: Connect,
) -> None:
    connection = connect(head_timeout_s=0.01, timeout_keep_alive=60)
    connection.send(SIZED)
    await connection.answers()
    connection.send(b"b" * 1000)
    protocol = connection._protocol
    assert "head" not in protocol._timers
    assert protocol.timeout_keep_alive_task is not None
    assert protocol.timeout_keep_alive_task.when() > protocol.loop.time() + 30


async def test_what_is_left_of_answered_bodies_is_read_at_a_bounded_rate(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmbg_service.api.protocol._DISCARDING_S_PER_BYTE", 1.25e-6)
    first, second = connect(), connect()
    for connection in (first, second):
        connection.send(SIZED)
        await connection.answers()
    first.send(b"b" * 999)
    second.send(b"b" * 999)
    assert not first.reading
    first_end, second_end = (
        connection._protocol._timers._running["discard"].when() for connection in (first, second)
    )
    assert second_end - first_end >= 0.0099  # they share the time
    await until(lambda: first.reading and second.reading)
    first.send(b"b")
    first.send(PLAIN)
    await first.answers(2)


async def test_refusals_share_a_bounded_part_of_a_core(connect: Connect) -> None:
    connections = [connect() for _ in range(3)]
    for connection in connections:
        connection.send(b"nonsense\r\n\r\n")
        assert connection.received == b""
        assert not connection.reading
    ends = [item._protocol._timers._running["refuse"].when() for item in connections]
    assert ends[1] - ends[0] >= 0.0039
    assert ends[2] - ends[1] >= 0.0039
    for connection in connections:
        await closes(connection)
        assert connection.received.startswith(b"HTTP/1.1 400 ")


async def test_a_flood_of_what_is_refused_is_not_answered(connect: Connect) -> None:
    connections = [connect(head_timeout_s=0.01) for _ in range(10)]
    for connection in connections:
        connection.send(b"nonsense\r\n\r\n")
    assert connections[0].open
    assert not connections[-1].open
    assert connections[-1].received == b""


async def test_blank_lines_do_not_keep_a_connection(connect: Connect) -> None:
    connection = connect(head_timeout_s=0.01)
    connection.send(PLAIN)
    await connection.answers()
    connection.send(b"\r\n")
    await closes(connection)


async def test_an_upgrade_is_answered_like_any_request(app: App, connect: Connect) -> None:
    connection = connect()
    connection.send(UPGRADE)
    await connection.answers()
    assert app.scopes[0]["type"] == "http"
    assert b"connection: close" in connection.received
    assert not connection.open


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"Content-Length: 6", b"abcdef"),
        (b"Content-Length: 0", b""),
        (b"Transfer-Encoding: chunked", b"2\r\nab\r\n4\r\ncdef\r\n0\r\nX: y\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_request_for_an_upgrade_keeps_its_body(
    app: App, connect: Connect, protocol: bytes, framing: bytes, body: bytes, at_once: bool
) -> None:
    """curl --http2 and Java's client send one with every request."""
    app.reads_body = True
    connection = connect()
    head = UPGRADE.replace(b"GET", b"POST").replace(b"websocket", protocol)
    request = head.replace(b"\r\n\r\n", b"\r\n" + framing + b"\r\n\r\n") + body
    for part in [request] if at_once else [bytes([byte]) for byte in request]:
        connection.send(part)
    await connection.answers()
    expected = b"" if body == b"" else b"abcdef"
    assert b"".join(message["body"] for message in app.messages) == expected
    assert connection.received.startswith(b"HTTP/1.1 200")
    assert not connection.open


async def test_the_body_of_a_request_for_an_upgrade_has_the_same_limits(connect: Connect) -> None:
    connection = connect()
    connection.send(UPGRADE.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"))
    connection.send(b"1\r\na\r\n" * (MAX_TINY_CHUNKS + 100))
    await closes(connection)


@pytest.mark.parametrize(("version", "told"), [(b"1.1", True), (b"1.0", False)])
async def test_only_http_1_1_knows_100_continue(
    app: App, connect: Connect, version: bytes, told: bool
) -> None:
    app.reads_body = True
    connection = connect()
    head = SIZED.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    connection.send(head.replace(b"HTTP/1.1", b"HTTP/" + version) + b"b" * 999)
    await until(lambda: app.messages != [])
    connection.send(b"b")
    await connection.answers()
    assert connection.received.startswith(b"HTTP/1.1 100 Continue") == told


async def test_a_client_that_asks_to_close_may_send_its_body_to_the_end(connect: Connect) -> None:
    connection = connect()
    connection.send(SIZED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    await connection.answers()
    assert connection.ended
    assert connection.open
    connection.send(b"b" * 999)
    assert connection.open
    connection.send(b"b")
    assert not connection.open


async def test_a_client_that_sends_no_more_once_it_is_answered_is_closed_soon(
    connect: Connect,
) -> None:
    connection = connect(head_timeout_s=0.05)
    connection.send(SIZED)
    await connection.answers()
    connection.send(b"a")  # Node's clients stop here, and wait for the server to close
    assert connection.open
    await closes(connection)


def test_uvicorn_still_has_the_internals_that_the_protocol_builds_on() -> None:
    """A new release of uvicorn is let in by raising the bound in pyproject.toml."""
    protocol = HttpToolsProtocol(
        uvicorn.Config(App(), log_config=None, lifespan="off"),
        ServerState(),
        {},
        asyncio.new_event_loop(),
    )
    protocol.loop.close()
    for name in ("cycle", "parser", "loop", "transport", "flow", "timeout_keep_alive_task"):
        assert hasattr(protocol, name)
    for name in (
        "send_400_response",
        "on_message_begin",
        "on_url",
        "on_header",
        "on_headers_complete",
        "on_body",
        "on_message_complete",
        "on_response_complete",
        "timeout_keep_alive_handler",
        "_unset_keepalive_if_required",
        "_unsupported_upgrade_warning",
    ):
        assert callable(getattr(HttpToolsProtocol, name))
    nothing: Any = None
    cycle = RequestResponseCycle(*[nothing] * 11)
    used = {"body", "disconnected", "keep_alive", "message_event"}
    assert used | {"response_complete", "response_started"} <= vars(cycle).keys()
