"""What a connection may send and how long, piece by piece."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from rmbg_service.api.protocol import MAX_HEAD_BYTES, BoundedProtocol
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

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    async def answers(self, count: int = 1) -> None:
        await until(lambda: self.received.count(b"done") == count)


class App:
    """Answers at once, or when it has read the body; keeps what it was given."""

    def __init__(self) -> None:
        self.reads_body = False
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        more: Message = {"more_body": self.reads_body}
        while more.get("more_body"):
            more = await receive()
        headers = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"done"})


@pytest.fixture
def app() -> App:
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
    piece = b"a: \r\n" * 4000 if beginning == b"0\r\n" else b"b" * 20_000
    for _ in range(9):
        connection.send(piece)
    assert connection.open
    connection.send(piece)
    assert not connection.open


async def test_a_head_has_a_bound_of_its_own(connect: Connect) -> None:
    connection = connect()
    connection.send(b"GET / HTTP/1.1\r\nX-Long: ")
    connection.send(b"x" * MAX_HEAD_BYTES)
    assert connection.open
    connection.send(b"x")
    assert not connection.open


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


async def test_a_client_that_sends_no_more_once_it_is_answered_is_closed_soon(
    connect: Connect,
) -> None:
    connection = connect(timeout_keep_alive=0.05)
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
    for name in ("cycle", "parser", "loop", "transport", "timeout_keep_alive_task"):
        assert hasattr(protocol, name)
    for name in (
        "on_message_begin",
        "on_header",
        "on_headers_complete",
        "on_message_complete",
        "on_response_complete",
        "timeout_keep_alive_handler",
        "_unset_keepalive_if_required",
        "_unsupported_upgrade_warning",
    ):
        assert callable(getattr(HttpToolsProtocol, name))
    nothing: Any = None
    cycle = RequestResponseCycle(*[nothing] * 11)
    assert {"response_complete", "keep_alive"} <= vars(cycle).keys()
