"""Stand-ins with gates: concurrency in the tests is exact, never a matter of luck."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pillow_heif
from fastapi import FastAPI
from PIL import Image
from starlette.types import ASGIApp, Message

from rmbg_service.api.app import create_app
from rmbg_service.models.predictor import PatchOrderChoice
from rmbg_service.models.with_matting import PredictorWithMatting
from rmbg_service.serving.engine import Engine
from rmbg_service.settings import Settings
from rmbg_service.types import Matte, MattingInput, ModelInput
from rmbg_service.url_fetch import Fetcher

pillow_heif.register_heif_opener()  # for tests that write HEIF through Pillow

PATH = "/api/remove-bg"


class FakePredictor:
    """Says that the left half is foreground. While `gate` is clear, `predict` waits in it.

    `errors` are raised by the next calls, one each.
    """

    name = "fake"
    input_size = (32, 544)  # a network of more than 512 px is asked once, see `plan_detail`
    device = "cpu"
    device_memory_bytes = 0
    licence = "unknown"
    patch_order: PatchOrderChoice | None = None

    def __init__(self, errors: Sequence[Exception] = (), gated: bool = False) -> None:
        self.errors = list(errors)
        self.gate = threading.Event()
        if not gated:
            self.gate.set()
        self.entered = threading.Semaphore(0)
        self.predicted: list[int] = []
        self.closed = False

    def load(self) -> None:
        pass

    def warm_up(self) -> None:
        pass

    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        self.entered.release()
        assert self.gate.wait(60)
        self.predicted.append(len(batch))
        if self.errors:
            raise self.errors.pop(0)
        matte = np.zeros(self.input_size, np.float32)
        matte[:, : self.input_size[1] // 2] = 1.0
        return [matte for _ in batch]

    def close(self) -> None:
        self.closed = True

    async def wait_until_entered(self) -> None:
        """Wait until one more call of `predict` has begun."""
        assert await asyncio.to_thread(self.entered.acquire, timeout=60)


class FakeMatting(FakePredictor):
    """A matting network that says 0.25 wherever it is asked."""

    name = "fake-matting"
    input_size = (512, 512)
    dtype = "fp32"

    def predict(self, batch: Sequence[MattingInput]) -> list[Matte]:
        super().predict(batch)
        return [np.full(image.shape[:2], 0.25, np.float32) for image in batch]


class FakeFetcher(Fetcher):
    """Gives each URL what it is for."""

    def __init__(self, found: dict[str, bytes | Exception]) -> None:
        super().__init__()
        self.found = found
        self.limits: list[int] = []

    async def fetch(self, url: str, max_bytes: int, client: str = "") -> bytes:
        self.limits.append(max_bytes)
        found = self.found[url]
        if isinstance(found, Exception):
            raise found
        return found


def picture_bytes(size: tuple[int, int] = (64, 48), kind: str = "PNG", **save: Any) -> bytes:
    """A file with a horizontal ramp in red and a vertical one in green."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), x * 0 + 90], -1)
    buffer = BytesIO()
    Image.fromarray(rgb.astype(np.uint8)).save(buffer, kind, **save)
    return buffer.getvalue()


class AppClient(httpx.AsyncClient):
    """A client of `app`, in this process."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(transport=httpx.ASGITransport(app), base_url="http://test")
        self.app = app


@asynccontextmanager
async def serving(
    predictor: FakePredictor | PredictorWithMatting | None = None,
    fetcher: Fetcher | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[AppClient, Engine]]:
    """A running app with a client of it; at the end every gate is opened."""
    predictor = predictor or FakePredictor()
    app = create_app(Settings(**settings), predictor, fetcher)
    engine: Engine = app.state.engine
    ready = asyncio.Event()
    engine.on_ready = ready.set
    async with app.router.lifespan_context(app):
        await asyncio.wait_for(ready.wait(), 30)
        async with AppClient(app) as client:
            try:
                yield client, engine
            finally:
                predictor.gate.set()


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop run until `condition` holds."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0.001)


class RawRequest:
    """One ASGI request under the test's control: when its body comes, when its client leaves."""

    def __init__(
        self,
        app: ASGIApp,
        headers: dict[str, str] | None = None,
        path: str = PATH,
        method: str = "POST",
    ) -> None:
        self._app = app
        self._path = path
        self._method = method
        self._headers = headers or {"content-type": "image/png"}
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.receive_calls = 0
        self.sent: list[Message] = []

    def start(self) -> "asyncio.Task[None]":
        """Run the app on this request."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self._method,
            "path": self._path,
            "raw_path": self._path.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": b"",
            "headers": [(k.encode(), v.encode()) for k, v in self._headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            "state": {},
        }
        return asyncio.create_task(self._run(scope))

    async def _run(self, scope: dict[str, Any]) -> None:
        await self._app(scope, self._receive, self._send)

    def send_body(self, data: bytes, more: bool = False) -> None:
        """Let a chunk of the body arrive."""
        self._incoming.put_nowait({"type": "http.request", "body": data, "more_body": more})

    def leave(self) -> None:
        """The client closes its connection."""
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def _receive(self) -> Message:
        self.receive_calls += 1
        return await self._incoming.get()

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int | None:
        """The status that was sent, if any."""
        return self.sent[0]["status"] if self.sent else None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that were sent."""
        return {k.decode(): v.decode() for k, v in self.sent[0]["headers"]}


@contextmanager
def uncollected() -> Iterator[None]:
    """Cycles of objects stay, as they do between the rare collections of a running service."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
