"""Removal by a running service, over HTTP."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import httpx

from rmbg_service.batch.removers.remover import Removed, RemoverFailed, RunStopped
from rmbg_service.client import AsyncClient, Info, Options, Result, Retries, ServiceError
from rmbg_service.errors import ConfigurationError
from rmbg_service.removal.attachments import Files
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.result import encoder_of

KEY_VARIABLE = "RMBG_SERVER_KEY"
"""The environment variable with the API key of the service that is called.

Not `RMBG_API_KEY`: `serve` rejects that name as a misspelt `RMBG_API_KEYS`.
"""

RETRIES = Retries(busy_s=math.inf, unavailable_s=300)
"""No file fails because of load."""

_CONNECT_TIMEOUT_S = 30
_RESPONSE_MARGIN_S = 30  # beyond the service's own deadline


class RemoteRemover:
    """Sends images to a service as raw bodies, with the options in the query.

    For each of the `further` options an image is sent once more.
    """

    def __init__(
        self,
        client: AsyncClient,
        info: Info,
        options: RemovalOptions,
        files: Files,
        parallel: int | None = None,
        further: Sequence[RemovalOptions] = (),
    ) -> None:
        self._client = client
        self.model = info.model.name
        self.max_bytes = info.limits.max_body_bytes
        # By default half of what the service admits, so that others find room beside this run.
        self.parallel = parallel or max(1, info.limits.max_inflight_jobs // 2)
        self._options = options
        self._further = further
        self._files = files
        self._timeout = httpx.Timeout(
            info.limits.upload_timeout_s,
            connect=_CONNECT_TIMEOUT_S,
            read=info.limits.request_timeout_s + _RESPONSE_MARGIN_S,
            pool=None,
        )

    async def remove(self, data: bytes) -> Removed:
        """See `Remover.remove`."""
        result, *further = [
            await self._removed(data, options) for options in (self._options, *self._further)
        ]
        return Removed(result.data, result.box, tuple(other.data for other in further))

    async def _removed(self, data: bytes, options: RemovalOptions) -> Result:
        try:
            result = await self._client.remove(
                data,
                background_image=self._files.get("background_image"),
                matte=self._files.get("matte"),
                strokes=self._files.get("strokes"),
                timeout=self._timeout,
                **_given(options),
            )
        except ServiceError as error:
            if error.status_code == 401:
                raise RemoverFailed(f"{error}; set {KEY_VARIABLE} to one of its keys") from None
            raise
        expected = encoder_of(options).media_type
        if result.media_type != expected:
            expected = f"expected {expected}, got {result.media_type}"
            raise ServiceError(f"{expected}: check --server")
        if result.model not in ("", self.model):
            raise RemoverFailed(f"the service now runs {result.model}, no longer {self.model}")
        return result


@asynccontextmanager
async def remote_remover(
    url: str,
    key: str,
    options: RemovalOptions,
    files: Files,
    stop: asyncio.Event,
    parallel: int | None = None,
    further: Sequence[RemovalOptions] = (),
) -> AsyncIterator[RemoteRemover]:
    """A `RemoteRemover` for the service at `url`, which is asked for its model and limits first.

    Raises `ConfigurationError` if there is no such service.
    """

    async def pause(seconds: float) -> None:
        try:
            await asyncio.wait_for(stop.wait(), seconds)
        except TimeoutError:
            return
        raise RunStopped("stopped while waiting for the service")

    async with AsyncClient(url, key, retries=RETRIES, sleep=pause) as client:
        try:
            info = await client.info()
        except ServiceError as error:
            raise ConfigurationError(
                f"no service at {url}: {error}; check --server and {KEY_VARIABLE}"
            ) from None
        yield RemoteRemover(client, info, options, files, parallel, further)


def _given(options: RemovalOptions) -> Options:
    """The options that were set, and always the format: the outputs are named after it."""
    given = options.model_dump(mode="json", exclude_unset=True) | {"format": options.format}
    return cast("Options", given)
