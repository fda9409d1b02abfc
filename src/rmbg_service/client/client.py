"""The clients: the same calls, blocking and for asyncio."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Self, Unpack

import httpx

from rmbg_service.client.errors import ServiceUnavailable
from rmbg_service.client.request import ImageFile, Options, RemovalRequest
from rmbg_service.client.response import Info, Result, lost, read_info, read_result
from rmbg_service.client.retries import Backoff, Retries
from rmbg_service.errors import ConfigurationError

TIMEOUT = httpx.Timeout(60, connect=30, read=90, pool=None)
"""Seconds without progress: the longest read is the service's default deadline and a margin."""

INFO_PATH = "/api/info"
_CHUNK_BYTES = 64 * 1024
_MAX_PORT = 65_535


class Client:
    """Calls the service at `url`; safe to share between threads, and a context manager.

    `key` is the API key. `retries` says how long a call waits for a service that is busy or gone;
    `sleep` is what it waits with. `transport` replaces the network, for tests. Raises
    `ConfigurationError` for a URL or key that cannot be sent.
    """

    def __init__(
        self,
        url: str,
        key: str = "",
        *,
        timeout: httpx.Timeout | float = TIMEOUT,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._retries = retries or Retries()
        self._sleep = sleep
        with _checked(url):
            self._http = httpx.Client(**_arguments(url, key), timeout=timeout, transport=transport)

    def remove(
        self,
        image: ImageFile,
        *,
        background_image: ImageFile | None = None,
        matte: ImageFile | None = None,
        strokes: ImageFile | None = None,
        request_id: str | None = None,
        timeout: httpx.Timeout | float | None = None,
        **options: Unpack[Options],
    ) -> Result:
        """Remove the background of one image; a file is streamed, and read again for a new attempt.

        `background_image` is what the cutout is put on, `matte` a matte to use in place of the
        network's, `strokes` are brush strokes that correct it. `request_id` names the request in
        the service's log (`[A-Za-z0-9_-]{1,64}`, random by default), and is the same for all
        attempts. `timeout` overrides that of the client. Raises `ServiceUnavailable` after the last
        attempt, `ServiceError` at once if the service refused this image, and `OSError` if a file
        cannot be read.
        """
        files = {"background_image": background_image, "matte": matte, "strokes": strokes}
        request = RemovalRequest(image, files, request_id, options)
        backoff = Backoff(self._retries)
        while True:
            try:
                return self._attempt(request, timeout)
            except ServiceUnavailable as error:
                pause = backoff.pause_after(error)
            self._sleep(pause)

    def info(self) -> Info:
        """The model and the limits of the service, asked once. Raises `ServiceError`."""
        try:
            return read_info(self._http.get(INFO_PATH))
        except httpx.RequestError as error:
            raise lost(error, "") from None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def _attempt(self, request: RemovalRequest, timeout: httpx.Timeout | float | None) -> Result:
        with request.attempt() as arguments:
            try:
                response = self._http.post(**arguments, **_given(timeout))
            except httpx.RequestError as error:
                raise lost(error, request.id) from None
        return read_result(response, request.id)


class AsyncClient:
    """`Client` for asyncio: the same arguments, methods and errors."""

    def __init__(
        self,
        url: str,
        key: str = "",
        *,
        timeout: httpx.Timeout | float = TIMEOUT,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._retries = retries or Retries()
        self._sleep = sleep
        with _checked(url):
            self._http = httpx.AsyncClient(
                **_arguments(url, key), timeout=timeout, transport=transport
            )

    async def remove(
        self,
        image: ImageFile,
        *,
        background_image: ImageFile | None = None,
        matte: ImageFile | None = None,
        strokes: ImageFile | None = None,
        request_id: str | None = None,
        timeout: httpx.Timeout | float | None = None,  # noqa: ASYNC109 - httpx's, as in Client
        **options: Unpack[Options],
    ) -> Result:
        """See `Client.remove`; files are read in threads."""
        files = {"background_image": background_image, "matte": matte, "strokes": strokes}
        request = await asyncio.to_thread(RemovalRequest, image, files, request_id, options)
        backoff = Backoff(self._retries)
        while True:
            try:
                return await self._attempt(request, timeout)
            except ServiceUnavailable as error:
                pause = backoff.pause_after(error)
            await self._sleep(pause)

    async def info(self) -> Info:
        """See `Client.info`."""
        try:
            return read_info(await self._http.get(INFO_PATH))
        except httpx.RequestError as error:
            raise lost(error, "") from None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.aclose()

    async def _attempt(
        self, request: RemovalRequest, limits: httpx.Timeout | float | None
    ) -> Result:
        with request.attempt() as arguments:
            if hasattr(arguments.get("content"), "read"):
                arguments["content"] = _chunks(arguments["content"])
            try:
                response = await self._http.post(**arguments, **_given(limits))
            except httpx.RequestError as error:
                raise lost(error, request.id) from None
        return read_result(response, request.id)


@contextmanager
def _checked(url: str) -> Iterator[None]:
    """Turns what httpx raises for a URL into a `ConfigurationError`."""
    try:
        yield
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ConfigurationError(f"the URL {url}: {error}") from None


def _arguments(url: str, key: str) -> dict[str, Any]:
    if not (key.isascii() and key.isprintable() and key == key.strip()):
        raise ConfigurationError(
            "expected an API key of printable ASCII without spaces or line breaks around it"
        )
    base = httpx.URL(url.rstrip("/"))
    if base.scheme not in ("http", "https") or not base.host or (base.port or 0) > _MAX_PORT:
        raise httpx.InvalidURL("expected a URL such as http://127.0.0.1:7860")
    return {"base_url": base, "headers": {"X-API-Key": key} if key else {}}


def _given(timeout: httpx.Timeout | float | None) -> dict[str, Any]:
    return {} if timeout is None else {"timeout": timeout}


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
        yield chunk
