"""A real server in a thread of this process, on a free port of the loopback interface."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from rmbg_service.api.app import create_app
from rmbg_service.api.protocol import BoundedProtocol
from rmbg_service.models.predictor import Predictor
from rmbg_service.settings import Settings
from tests.fakes import FakePredictor


@contextmanager
def running_server(predictor: Predictor, **settings: Any) -> Iterator[str]:
    """The base URL of a server of `predictor`, ready."""
    app = create_app(Settings(**settings), predictor)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=BoundedProtocol,
            host="127.0.0.1",
            port=0,
            log_config=None,
            access_log=False,
        )
    )
    ready = threading.Event()
    app.state.engine.on_ready = ready.set
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert ready.wait(30)
        while not server.started:
            threading.Event().wait(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        if isinstance(predictor, FakePredictor):
            predictor.gate.set()
        server.should_exit = True
        thread.join(30)


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds, which is asked again and again."""
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)
