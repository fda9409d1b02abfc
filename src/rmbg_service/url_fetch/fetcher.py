"""Images by URL, without letting anyone use the service to reach what only it can reach.

The defence against server-side request forgery (CWE-918): a host is resolved once, every address it
has must be a public one, and the connection goes to the very addresses that were checked, so that a
name cannot change its mind in between. Redirects are followed here, with the same checks.
"""

import asyncio
import math
import re
import ssl
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from typing import Any, Self
from urllib.parse import quote, urljoin, urlsplit

import httpcore

from rmbg_service.errors import BodyTooLarge, ClientError
from rmbg_service.url_fetch.addresses import Resolve, Resolver, is_public
from rmbg_service.url_fetch.slots import FetchSlots

_MAX_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_URL = 4096
_PORTS = (None, 80, 443)
_MAX_HEAD_BYTES, _HEAD_READ_BYTES = 65_536, 4096
_MAX_TINY_PARTS, _MIN_PART_BYTES = 1024, 64
_LABEL = "[0-9a-z_-]{1,63}"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?|[0-9a-f:.]+")
_NETWORK_ERRORS = (
    OSError,
    ValueError,
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)
_HEADERS = [("User-Agent", "rmbg-service"), ("Accept", "image/*"), ("Accept-Encoding", "identity")]


class FetchRefused(ClientError):
    """This URL is not fetched, whatever is behind it."""

    type = "url-refused"
    title = "URL refused"


class FetchFailed(ClientError):
    """Nothing usable came from this URL."""

    type = "download-failed"
    title = "Download failed"


class Fetcher:
    """Fetches over http and https, at most `max_at_once` images at a time for all clients.

    `hosts` restricts it to some; empty means every public one.
    """

    def __init__(
        self,
        hosts: Iterable[str] = (),
        timeout_s: float = 10.0,
        max_at_once: int = 4,
        resolve: Resolve | None = None,
        backend: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._hosts = [host.lower() for host in hosts]
        self._timeout_s = timeout_s
        self._slots = FetchSlots(max_at_once, math.ceil(timeout_s / 2))
        self._resolve = resolve or Resolver()
        self._backend = backend or httpcore.AnyIOBackend()
        self._tls = ssl.create_default_context()

    async def fetch(self, url: str, max_bytes: int, client: str = "") -> bytes:
        """The bytes behind `url`, after at most three redirects.

        Raises `FetchRefused` for a URL that is not fetched, `BodyTooLarge` beyond `max_bytes`,
        `Overloaded` while too many are being fetched, also when another client takes the place of
        `client`, and `FetchFailed` for everything that goes wrong on the way.
        """
        async with self._slots.slot(client):
            try:
                async with asyncio.timeout(self._timeout_s):
                    for _ in range(1 + _MAX_REDIRECTS):
                        found = await self._get(url, max_bytes)
                        if isinstance(found, bytes):
                            return found
                        url = urljoin(url, found)
            except TimeoutError:
                reason = f"the image did not arrive within {self._timeout_s:g} s"
                raise FetchFailed(reason) from None
            except _NETWORK_ERRORS:  # one answer for all: unknown, internal, closed or broken
                raise FetchFailed("no image could be fetched from this host") from None
            raise FetchFailed(f"more than {_MAX_REDIRECTS} redirects")

    async def _get(self, url: str, max_bytes: int) -> bytes | str:
        """The body, or where it is said to be."""
        async with (
            _CheckedBackend(self._backend, self._resolve) as backend,
            httpcore.AsyncConnectionPool(self._tls, network_backend=backend) as pool,
            pool.stream("GET", self._checked(url), headers=_HEADERS) as response,
        ):
            backend.head_left = math.inf  # `_read` bounds the body
            headers = {name.lower(): value for name, value in response.headers}
            if response.status in _REDIRECTS and b"location" in headers:
                return headers[b"location"].decode("utf-8", "replace")
            if response.status != 200:
                raise FetchFailed(f"the host answered {response.status}")
            if headers.get(b"content-encoding", b"identity").lower() != b"identity":
                raise FetchFailed("the host answered in a Content-Encoding that was not asked for")
            return await _read(response, max_bytes)

    def _checked(self, url: str) -> str:
        url = quote(url.strip(), safe="%/:?#[]@!$&'()*+,;=~")
        if len(url) > _MAX_URL:
            raise FetchRefused(f"a URL has at most {_MAX_URL} characters")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise FetchRefused("this is not a URL") from None
        if parts.scheme not in ("http", "https"):
            raise FetchRefused("only http:// and https:// URLs are fetched")
        if parts.username is not None or parts.password is not None:
            raise FetchRefused("a URL with a user name or password is not fetched")
        if not _HOST.fullmatch(host):
            raise FetchRefused("this host is neither a name in ASCII nor an address")
        if port not in _PORTS:
            raise FetchRefused("only ports 80 and 443 are allowed")
        if self._hosts and not any(_matches(host, pattern) for pattern in self._hosts):
            raise FetchRefused(f"the host {host} is not among RMBG_URL_FETCH_HOSTS")
        return url


async def _read(response: httpcore.Response, max_bytes: int) -> bytes:
    data, parts = bytearray(), 0
    async for chunk in response.aiter_stream():
        data += chunk
        parts += 1
        if len(data) > max_bytes:
            raise BodyTooLarge("the image has more than {most:,} bytes", most=max_bytes)
        if parts > _MAX_TINY_PARTS + len(data) // _MIN_PART_BYTES:  # each costs the same time
            raise FetchFailed(f"the host sends parts of less than {_MIN_PART_BYTES} bytes")
    return bytes(data)


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to a host, if all of its addresses are public, and closes what it has connected.

    httpcore leaves a connection open that is cancelled in the middle of its TLS handshake. It also
    reads any number of interim responses: here, they and the head have at most `_MAX_HEAD_BYTES`,
    read little by little, so that the event loop can turn to others.
    """

    def __init__(self, backend: httpcore.AsyncNetworkBackend, resolve: Resolve) -> None:
        self._backend = backend
        self._resolve = resolve
        self._connections = AsyncExitStack()
        self.head_left: float = _MAX_HEAD_BYTES
        """What may come before the body."""

    async def connect_tcp(
        self, host: str, port: int, *args: Any, **kwargs: Any
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._resolve(host, port)
        if not addresses or not all(is_public(address) for address in addresses):
            # As for a name that does not exist: which internal ones do is nobody's business.
            raise OSError("an address is not public")
        for address in addresses[:-1]:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._connect(address, port, *args, **kwargs)
        return await self._connect(addresses[-1], port, *args, **kwargs)

    async def _connect(
        self, address: str, port: int, *args: Any, **kwargs: Any
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._backend.connect_tcp(address, port, *args, **kwargs)
        self._connections.push_async_callback(stream.aclose)
        return _Stream(stream, self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connections.aclose()


class _Stream(httpcore.AsyncNetworkStream):
    """A connection, with or without TLS, that `backend` has made."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, backend: _CheckedBackend) -> None:
        self._stream = stream
        self._backend = backend

    async def read(self, max_bytes: int, *args: Any, **kwargs: Any) -> bytes:
        if self._backend.head_left <= 0:
            raise httpcore.RemoteProtocolError
        if self._backend.head_left < math.inf:
            max_bytes = min(max_bytes, _HEAD_READ_BYTES)
        data = await self._stream.read(max_bytes, *args, **kwargs)
        self._backend.head_left -= len(data)
        return data

    async def write(self, *args: Any, **kwargs: Any) -> None:
        await self._stream.write(*args, **kwargs)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(self, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._stream.start_tls(*args, **kwargs), self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _matches(host: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return host == pattern
