"""Hostile URLs: none gets through, each gets its error."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

import httpcore
import pytest

from rmbg_service.errors import BodyTooLarge, Overloaded
from rmbg_service.url_fetch import Fetcher, FetchFailed, FetchRefused
from rmbg_service.url_fetch.addresses import is_public
from tests.fakes import until

PUBLIC = "93.184.215.14"
OTHER_PUBLIC = "151.101.1.6"
LIMIT = 1000


class FakeNames:
    """A resolver that gives each name its answers in turn, the last one for ever."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self._answers = {name.replace("_", "."): list(a) for name, a in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self._answers.get(host)
        if answers is None:
            return [host.strip("[]")]
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Host(httpcore.AsyncNetworkBackend):
    """Leads every public address to the local server `port`, and remembers which."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.connected: list[str] = []
        self.dead = ""

    async def connect_tcp(
        self, host: str, port: int, *args: Any, **kwargs: Any
    ) -> httpcore.AsyncNetworkStream:
        self.connected.append(host)
        if host == self.dead:
            raise httpcore.ConnectError("nobody there")
        return await httpcore.AnyIOBackend().connect_tcp("127.0.0.1", self._port, *args, **kwargs)


class Web:
    """A server on the loopback interface with one answer for each path."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.stall = asyncio.Event()
        self.port = 0
        self.at_work: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.at_work.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head)
            await self._answer(head.split(b" ")[1].decode(), writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client has seen enough, or does not speak HTTP
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        match path.split("?")[0]:
            case "/picture":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\npicture")
            case "/to":
                target = path.partition("?")[2]
                writer.write(f"HTTP/1.1 302 Found\r\nLocation: {target}\r\n\r\n".encode())
            case "/to-letters":
                writer.write("HTTP/1.1 302 Found\r\nLocation: /picture?b\u00e4r\r\n\r\n".encode())
            case "/missing":
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            case "/zipped":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nbomb")
            case "/babble":
                writer.write(b"220 smtp ready\r\n")
            case "/short":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort")
            case "/endless":
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                while True:
                    writer.write(b"x" * 500)
                    await writer.drain()
                    await asyncio.sleep(0)
            case "/tiny":
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                while True:
                    writer.write(b"1\r\nx\r\n" * 100)
                    await writer.drain()
                    await asyncio.sleep(0)
            case "/interim":
                while True:
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
                    await writer.drain()
                    await asyncio.sleep(0)
            case "/large":
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                writer.write((b"40\r\n" + b"x" * 64 + b"\r\n") * 2000 + b"0\r\n\r\n")
            case "/slow":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow")
                await self.stall.wait()
        await writer.drain()


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    web = Web()
    server = await asyncio.start_server(web.accept, "127.0.0.1", 0)
    web.port = server.sockets[0].getsockname()[1]
    yield web
    web.stall.set()
    await asyncio.gather(*web.at_work)
    server.close()
    await server.wait_closed()


def fetcher(web: Web, names: FakeNames | None = None, **options: Any) -> tuple[Fetcher, Host]:
    host = Host(web.port)
    names = names or FakeNames(pictures_example=[[PUBLIC]])
    return Fetcher(resolve=names, backend=host, **options), host


async def test_a_picture_comes_over_the_address_that_was_checked(web: Web) -> None:
    names = FakeNames(pictures_example=[[PUBLIC], ["127.0.0.1"]])
    fetch, host = fetcher(web, names)
    assert await fetch.fetch("http://pictures.example/picture?size=1", LIMIT) == b"picture"
    assert (host.connected, names.asked) == ([PUBLIC], ["pictures.example"])
    (request,) = web.requests
    assert b"Host: pictures.example" in request
    for secret in (b"cookie", b"authorization", b"referer", b"x-api-key"):
        assert secret not in request.lower()


async def test_a_name_that_changes_its_mind_is_asked_again_and_refused(web: Web) -> None:
    names = FakeNames(pictures_example=[[PUBLIC], ["127.0.0.1"]])
    fetch, host = fetcher(web, names)
    with pytest.raises(FetchFailed, match="no image could be fetched"):
        await fetch.fetch("http://pictures.example/to?/picture", LIMIT)
    assert host.connected == [PUBLIC]


async def test_one_private_address_among_public_ones_is_enough_to_refuse(web: Web) -> None:
    fetch, host = fetcher(web, FakeNames(pictures_example=[[PUBLIC, "10.0.0.1"]]))
    with pytest.raises(FetchFailed, match="no image could be fetched"):
        await fetch.fetch("http://pictures.example/picture", LIMIT)
    assert host.connected == []


async def test_blanks_and_letters_beyond_ascii_are_escaped(web: Web) -> None:
    fetch, _ = fetcher(web)
    url = " http://pictures.example/picture?name=b\u00e4r 1\r\nX-Injected: 1 "
    assert await fetch.fetch(url, LIMIT) == b"picture"
    assert web.requests[0].startswith(b"GET /picture?name=b%C3%A4r%201%0D%0AX-Injected:%201 HTTP")


async def test_a_redirect_may_have_letters_beyond_ascii(web: Web) -> None:
    """As servers send them, in UTF-8, and browsers follow them."""
    fetch, _ = fetcher(web)
    assert await fetch.fetch("http://pictures.example/to-letters", LIMIT) == b"picture"
    assert web.requests[1].startswith(b"GET /picture?b%C3%A4r HTTP")


async def test_the_next_address_is_tried_when_one_does_not_answer(web: Web) -> None:
    fetch, host = fetcher(web, FakeNames(pictures_example=[[OTHER_PUBLIC, PUBLIC]]))
    host.dead = OTHER_PUBLIC
    assert await fetch.fetch("http://pictures.example/picture", LIMIT) == b"picture"
    assert host.connected == [OTHER_PUBLIC, PUBLIC]


async def test_only_so_many_pictures_are_fetched_at_once(web: Web) -> None:
    fetch, _ = fetcher(web, max_at_once=1)
    first = asyncio.create_task(fetch.fetch("http://pictures.example/slow", LIMIT))
    await until(lambda: bool(web.requests))
    with pytest.raises(Overloaded):
        await fetch.fetch("http://pictures.example/picture", LIMIT)
    first.cancel()
    await asyncio.wait({first})
    assert await fetch.fetch("http://pictures.example/picture", LIMIT) == b"picture"


async def test_redirects_are_followed_three_times(web: Web) -> None:
    fetch, host = fetcher(web, FakeNames(a_example=[[PUBLIC]], b_example=[[OTHER_PUBLIC]]))
    twice = "http://a.example/to?http://b.example/to?/picture"
    assert await fetch.fetch(twice, LIMIT) == b"picture"
    assert host.connected == [PUBLIC, OTHER_PUBLIC, OTHER_PUBLIC]
    with pytest.raises(FetchFailed, match="more than 3 redirects"):
        await fetch.fetch("http://a.example/to?" * 4 + "/picture", LIMIT)


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/latest",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "//10.0.0.1/",
        "file:///etc/passwd",
        "gopher://pictures.example/",
        "http://user:secret@pictures.example/",
    ],
)
async def test_a_redirect_is_checked_like_the_first_url(web: Web, target: str) -> None:
    fetch, host = fetcher(web)
    with pytest.raises((FetchRefused, FetchFailed)):
        await fetch.fetch(f"http://pictures.example/to?{target}", LIMIT)
    assert host.connected == [PUBLIC]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pictures.example/a.png",
        "ftp://pictures.example/a.png",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "http://",
        "http:///picture",
        "http://pictures.example:port/",
        "http://user@pictures.example/",
        "http://user:secret@pictures.example/",
        "http://pictures.example\\@10.0.0.1/",
        "http://pictures.example:22/a.png",
        "http://pictures.example:8080/a.png",
        "http://a..example/a.png",
        "http://pictures .example/a.png",
        "http://pictüres.example/",
        "http://pictures.example/" + "a" * 5000,
    ],
)
async def test_what_is_no_url_to_fetch_is_not_even_looked_up(web: Web, url: str) -> None:
    names = FakeNames(pictures_example=[[PUBLIC]])
    fetch, host = fetcher(web, names)
    with pytest.raises(FetchRefused):
        await fetch.fetch(url, LIMIT)
    assert (names.asked, host.connected) == ([], [])


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "0"],
)
async def test_every_spelling_of_loopback_is_refused_by_the_real_resolver(host: str) -> None:
    with pytest.raises(FetchFailed, match="no image could be fetched"):
        await Fetcher().fetch(f"http://{host}/picture", LIMIT)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/missing", FetchFailed),
        ("/zipped", FetchFailed),
        ("/babble", FetchFailed),
        ("/short", FetchFailed),
        ("/endless", BodyTooLarge),
    ],
)
async def test_answers_that_are_no_picture(web: Web, path: str, error: type[Exception]) -> None:
    fetch, _ = fetcher(web)
    with pytest.raises(error):
        await fetch.fetch(f"http://pictures.example{path}", LIMIT)


async def test_a_body_that_never_ends_its_wait(web: Web) -> None:
    fetch, _ = fetcher(web, timeout_s=0.05)
    with pytest.raises(FetchFailed, match=r"0\.05 s"):
        await fetch.fetch("http://pictures.example/slow", LIMIT)


@pytest.mark.parametrize("path", ["/tiny", "/interim"])
async def test_a_host_cannot_keep_the_event_loop_busy_with_nothing(web: Web, path: str) -> None:
    fetch, _ = fetcher(web, timeout_s=60.0)
    with pytest.raises(FetchFailed, match=r"less than 64 bytes|no image could be fetched"):
        await fetch.fetch(f"http://pictures.example{path}", 10**8)


async def test_small_chunks_are_read(web: Web) -> None:
    fetch, _ = fetcher(web)
    assert await fetch.fetch("http://pictures.example/large", 10**8) == b"x" * 128_000


async def test_a_host_that_does_not_exist_or_does_not_answer(web: Web) -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    with pytest.raises(FetchFailed, match="no image could be fetched"):
        await Fetcher(resolve=unknown).fetch("http://pictures.example/", LIMIT)
    fetch, host = fetcher(web)
    host._port = 1  # nobody listens there
    with pytest.raises(FetchFailed, match="no image could be fetched"):
        await fetch.fetch("http://pictures.example/", LIMIT)


async def test_an_answer_does_not_tell_which_internal_names_exist(web: Web) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        if host == "unknown.internal":
            raise OSError("no such name")
        return {"none.internal": [], "private.internal": ["10.0.0.7"]}.get(host, [PUBLIC])

    answers = set()
    for name in ("unknown.internal", "none.internal", "private.internal", "closed.example"):
        fetch, host = fetcher(web, resolve)  # type: ignore[arg-type]
        host.dead = PUBLIC
        with pytest.raises(FetchFailed) as caught:
            await fetch.fetch(f"http://{name}/", LIMIT)
        answers.add(str(caught.value))
    assert len(answers) == 1


async def test_look_ups_that_hang_are_counted_and_the_next_one_is_told(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their clients have left, but a thread cannot be ended."""
    answers, entered = threading.Event(), threading.Semaphore(0)

    def getaddrinfo(*_: object, **__: object) -> list[Any]:
        entered.release()
        assert answers.wait(60)
        return [(2, 1, 6, "", (PUBLIC, 80))]

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    fetch, host = Fetcher(backend=Host(web.port)), "http://pictures.example/picture"
    try:
        for _ in range(8):
            fetching = asyncio.create_task(fetch.fetch(host, LIMIT))
            assert await asyncio.to_thread(entered.acquire, timeout=60)
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)
        with pytest.raises(Overloaded, match="being looked up") as caught:
            await fetch.fetch(host, LIMIT)
        assert caught.value.retry_after_s >= 1
    finally:
        answers.set()
    resolve: Any = fetch._resolve
    await until(lambda: resolve._left._value == 8)
    monkeypatch.undo()
    await resolve("localhost", 80)


async def test_a_handshake_that_hangs_leaves_no_connection_open(web: Web) -> None:
    fetch, host = fetcher(web, timeout_s=0.05)  # the server waits for HTTP, not for TLS
    with pytest.raises(FetchFailed):
        await fetch.fetch("https://pictures.example/picture", LIMIT)
    assert host.connected == [PUBLIC]
    await asyncio.gather(*web.at_work)  # each ends when its client has hung up


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("pictures.example", True),
        ("PICTURES.example", True),
        ("cdn.shop.example", True),
        ("shop.example", False),
        ("evilshop.example", False),
        ("pictures.example.evil.example", False),
    ],
)
async def test_only_the_hosts_of_the_list(web: Web, host: str, allowed: bool) -> None:
    answers = {name.lower().replace(".", "_"): [[PUBLIC]] for name in (host,)}
    fetch, _ = fetcher(web, FakeNames(**answers), hosts=("Pictures.example", "*.shop.example"))
    if allowed:
        assert await fetch.fetch(f"http://{host}/picture", LIMIT) == b"picture"
    else:
        with pytest.raises(FetchRefused, match="RMBG_URL_FETCH_HOSTS"):
            await fetch.fetch(f"http://{host}/picture", LIMIT)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:93.184.215.14",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "",
        "pictures.example",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700::6810:84e5", "2a00:1450::1"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)
