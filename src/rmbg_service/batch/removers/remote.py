"""Removal by a running service, over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, unquote

import httpx
from pydantic import BaseModel, ValidationError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_exponential

from rmbg_service.batch.outputs import encoder_of
from rmbg_service.batch.removers.remover import (
    Removed,
    RemoverFailed,
    RunStopped,
    ServiceError,
    ServiceUnavailable,
)
from rmbg_service.errors import ConfigurationError, Overloaded
from rmbg_service.removal.attachments import Files
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.types import Box

KEY_VARIABLE = "RMBG_SERVER_KEY"
"""The environment variable with the API key of the service that is called.

Not `RMBG_API_KEY`: `serve` rejects that name as a misspelt `RMBG_API_KEYS`.
"""

MAX_ATTEMPTS = 10
_BACKOFF = wait_exponential(multiplier=1, max=60)  # 1, 2, 4, ... 60 s
_CONNECT_TIMEOUT_S = 30
_ANSWER_MARGIN_S = 30  # beyond the service's own deadline
_UNAVAILABLE = (408, 502, 503, 504)


class RemoteRemover:
    """Sends images to a service as raw bodies, with the options in the query.

    429 is obeyed as often as it comes: the service is alive and busy. Lost connections and the
    answers 408, 502, 503 and 504 are retried after 1, 2, 4, ... 60 s, or after `Retry-After` if
    that is longer, and end in `ServiceUnavailable` after `MAX_ATTEMPTS` in a row.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        info: "_Info",
        options: RemovalOptions,
        files: Files,
        stop: asyncio.Event,
        parallel: int | None = None,
    ) -> None:
        self._client = client
        self.model = info.model.name
        self.max_bytes = info.limits.max_body_bytes
        # By default half of what the service admits, so that others find room beside this run.
        self.parallel = parallel or max(1, info.limits.max_inflight_jobs // 2)
        self._query = _query(options)
        self._accept = encoder_of(options).media_type
        self._files = files
        self._stop = stop

    async def remove(self, data: bytes) -> Removed:
        """See `Remover.remove`."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Overloaded),
            wait=_retry_after,
            sleep=self.pause,
            reraise=True,
        )
        return await retrying(self._while_unavailable, data)

    async def _while_unavailable(self, data: bytes) -> Removed:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(ServiceUnavailable),
            wait=lambda state: max(_BACKOFF(state), _retry_after(state)),
            stop=stop_after_attempt(MAX_ATTEMPTS),
            sleep=self.pause,
            reraise=True,
        )
        try:
            return await retrying(self._attempt, data)
        except ServiceUnavailable as error:
            raise ServiceUnavailable(f"gave up after {MAX_ATTEMPTS} attempts: {error}") from None

    async def _attempt(self, data: bytes) -> Removed:
        """Send the image once.

        Raises `Overloaded` and `ServiceUnavailable` if it can be sent again, `RemoverFailed` if no
        other image has better prospects, and `ServiceError` for all other answers.
        """
        try:
            response = await self._post(data)
        except httpx.TransportError as error:
            raise ServiceUnavailable(f"no answer: {error or type(error).__name__}") from None
        if response.status_code == 200:
            found = response.headers.get("content-type", "").partition(";")[0]
            if found != self._accept or not response.content:
                raise ServiceError(f"expected {self._accept}, got {found!r}: check --server")
            self._require_model(response)
            return Removed(response.content, _box(response.headers.get("x-rmbg-box")))
        reason = _detail(response)
        if response.status_code == 401:
            raise RemoverFailed(f"{reason}; set {KEY_VARIABLE}")
        retry_after_s = _seconds(response.headers.get("retry-after"))
        if response.status_code == 429:
            raise Overloaded(reason, max(1, retry_after_s), "jobs")
        if response.status_code in _UNAVAILABLE:
            raise ServiceUnavailable(reason, retry_after_s)
        raise ServiceError(reason)

    async def pause(self, seconds: float) -> None:
        """Wait `seconds`; raises `RunStopped` as soon as the run is stopped."""
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return
        raise RunStopped("stopped while waiting for the service")

    def _require_model(self, response: httpx.Response) -> None:
        """Raise `RemoverFailed` if the service has been restarted with another model."""
        model = unquote(response.headers.get("x-rmbg-model", quote(self.model)))
        if model != self.model:
            raise RemoverFailed(f"the service now runs {model}, no longer {self.model}")

    async def _post(self, data: bytes) -> httpx.Response:
        body: dict[str, Any] = {"content": data}
        headers = {"Accept": self._accept, "Content-Type": "application/octet-stream"}
        if self._files:
            body = {"files": {"image": data, **self._files}}
            del headers["Content-Type"]
        return await self._client.post(
            "/api/remove-bg", params=self._query, headers=headers, **body
        )


@asynccontextmanager
async def remote_remover(
    url: str,
    key: str,
    options: RemovalOptions,
    files: Files,
    stop: asyncio.Event,
    parallel: int | None = None,
) -> AsyncIterator[RemoteRemover]:
    """A `RemoteRemover` for the service at `url`, which is asked for its model and limits first.

    Raises `ConfigurationError` if there is no such service.
    """
    headers = {"X-API-Key": key} if key else {}
    try:
        client = httpx.AsyncClient(base_url=url.rstrip("/"), headers=headers)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ConfigurationError(f"--server {url} or {KEY_VARIABLE}: {error}") from None
    async with client:
        info = await _ask(client, url)
        client.timeout = httpx.Timeout(
            info.limits.upload_timeout_s,
            connect=_CONNECT_TIMEOUT_S,
            read=info.limits.request_timeout_s + _ANSWER_MARGIN_S,
            pool=None,
        )
        yield RemoteRemover(client, info, options, files, stop, parallel)


class _Model(BaseModel):
    name: str


class _Limits(BaseModel):
    max_body_bytes: int
    max_inflight_jobs: int
    request_timeout_s: float
    upload_timeout_s: float


class _Info(BaseModel):
    """The part of `GET /api/info` that is used here."""

    model: _Model
    limits: _Limits


async def _ask(client: httpx.AsyncClient, url: str) -> _Info:
    try:
        response = await client.get("/api/info")
        response.raise_for_status()
        return _Info.model_validate_json(response.content)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise ConfigurationError(f"no service at {url}: {reason}") from None
    except ValidationError:
        raise ConfigurationError(f"the server at {url} is not an rmbg-service") from None


def _query(options: RemovalOptions) -> dict[str, str]:
    """The options that were set, and always the format: `Accept` is not precise enough."""
    given = options.model_dump(mode="json", exclude_unset=True) | {"format": options.format}
    texts = {name: str(value) for name, value in given.items() if value is not None}
    return {
        name: text.lower() if text in ("True", "False") else text for name, text in texts.items()
    }


def _retry_after(state: RetryCallState) -> float:
    """The pause that the service asked for."""
    error = state.outcome and state.outcome.exception()
    return error.retry_after_s if isinstance(error, Overloaded | ServiceUnavailable) else 0


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the service answered {response.status_code}"


def _seconds(retry_after: str | None) -> int:
    digits = retry_after or ""
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def _box(text: str | None) -> Box | None:
    try:
        left, top, width, height = map(int, (text or "").split(","))
    except ValueError:
        return None
    return Box(left, top, left + width, top + height)
