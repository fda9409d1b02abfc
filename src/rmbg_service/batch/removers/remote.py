"""Removal by a running service, over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, unquote

import httpx
from pydantic import BaseModel, ValidationError

from rmbg_service.batch.outputs import encoder_of
from rmbg_service.batch.removers.remover import Dropped, Hopeless, OutOfReach, Removed
from rmbg_service.errors import ConfigurationError, RmbgError
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.types import Box

KEY_VARIABLE = "RMBG_SERVER_KEY"
"""The environment variable with the API key of the service that is called.

Not `RMBG_API_KEY`: `serve` refuses that name, which somebody who means `RMBG_API_KEYS` may write.
"""

MOST_TRIES = 10
_LONGEST_PAUSE_S = 60
_MARGIN_S = 30
_TRY_AGAIN = (408, 502, 503, 504)


class ServiceError(RmbgError):
    """What the service answered about one picture."""

    type = "service-error"
    title = "The service refused"


class RemoteRemover:
    """Sends pictures to a service as raw bodies, the options in the query.

    429 is obeyed as often as it comes: the service is alive and busy. Lost connections and answers
    that say "not now" without being about load are met with pauses of 1, 2, 4, ... 60 s, or longer
    where Retry-After says so, and end in an error after `MOST_TRIES`.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        info: "_Info",
        options: RemovalOptions,
        background: bytes | None,
        stop: asyncio.Event,
        parallel: int | None = None,
    ) -> None:
        self._client = client
        self.model = info.model.name
        self.max_bytes = info.limits.max_body_bytes
        # By default half of what the service admits: others shall find room beside this run.
        self.parallel = parallel or max(1, info.limits.max_inflight_jobs // 2)
        self._query = _query(options)
        self._accept = encoder_of(options).media_type
        self._background = background
        self._stop = stop

    async def remove(self, data: bytes) -> Removed:
        """See `Remover.remove`."""
        failures = 0
        while True:
            pause_s = min(2.0**failures, _LONGEST_PAUSE_S)
            try:
                answer = await self._post(data)
            except httpx.TransportError as error:
                answer, reason = None, f"no answer: {error or type(error).__name__}"
            if answer is not None:
                if answer.status_code == 200:
                    kind = answer.headers.get("content-type", "").partition(";")[0]
                    if kind != self._accept or not answer.content:
                        raise ServiceError(f"what the service answers is no cutout but {kind!r}")
                    self._require_model(answer)
                    return Removed(answer.content, _box(answer.headers.get("x-rmbg-box")))
                reason = _detail(answer)
                if answer.status_code == 401:
                    raise Hopeless(f"{reason}; set {KEY_VARIABLE}")
                if answer.status_code not in (429, *_TRY_AGAIN):
                    raise ServiceError(reason)
                pause_s = max(pause_s, _seconds(answer.headers.get("retry-after")))
            if answer is None or answer.status_code != 429:
                failures += 1
                if failures == MOST_TRIES:
                    raise OutOfReach(f"given up after {failures} tries: {reason}")
            await self.pause(pause_s)

    async def pause(self, seconds: float) -> None:
        """Wait; raises `Dropped` as soon as the run is stopped."""
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return
        raise Dropped

    def _require_model(self, answer: httpx.Response) -> None:
        """Raise `Hopeless` when the service was restarted with another model since it was asked."""
        model = unquote(answer.headers.get("x-rmbg-model", quote(self.model)))
        if model != self.model:
            raise Hopeless(f"the service now runs {model}, no longer {self.model}")

    async def _post(self, data: bytes) -> httpx.Response:
        body: dict[str, Any] = {"content": data}
        headers = {"Accept": self._accept, "Content-Type": "application/octet-stream"}
        if self._background is not None:
            body = {"files": {"image": data, "background_image": self._background}}
            del headers["Content-Type"]
        return await self._client.post(
            "/api/remove-bg", params=self._query, headers=headers, **body
        )


@asynccontextmanager
async def remote_remover(
    url: str,
    key: str,
    options: RemovalOptions,
    background: bytes | None,
    stop: asyncio.Event,
    parallel: int | None = None,
) -> AsyncIterator[RemoteRemover]:
    """A `RemoteRemover` for the service at `url`, which is asked for its model and limits first.

    Raises `ConfigurationError` when there is no such service.
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
            connect=_MARGIN_S,
            read=info.limits.request_timeout_s + _MARGIN_S,
            pool=None,
        )
        yield RemoteRemover(client, info, options, background, stop, parallel)


class _Model(BaseModel):
    name: str


class _Limits(BaseModel):
    max_body_bytes: int
    max_inflight_jobs: int
    request_timeout_s: float
    upload_timeout_s: float


class _Info(BaseModel):
    """The part of GET /api/info that matters here."""

    model: _Model
    limits: _Limits


async def _ask(client: httpx.AsyncClient, url: str) -> _Info:
    try:
        answer = await client.get("/api/info")
        answer.raise_for_status()
        return _Info.model_validate_json(answer.content)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise ConfigurationError(f"no service at {url}: {reason}") from None
    except ValidationError:
        raise ConfigurationError(f"what answers at {url} is no rmbg-service") from None


def _query(options: RemovalOptions) -> dict[str, str]:
    """What was asked for, and the format in any case: Accept is not precise enough."""
    given = options.model_dump(mode="json", exclude_unset=True) | {"format": options.format}
    texts = {name: str(value) for name, value in given.items() if value is not None}
    return {
        name: text.lower() if text in ("True", "False") else text for name, text in texts.items()
    }


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the service answered {answer.status_code}"


def _seconds(retry_after: str | None) -> int:
    digits = retry_after or ""
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def _box(text: str | None) -> Box | None:
    try:
        left, top, width, height = map(int, (text or "").split(","))
    except ValueError:
        return None
    return Box(left, top, left + width, top + height)
