"""`rmbg-service serve`: the HTTP server in this process."""

import gc
import signal
import socket
import sys
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
import uvicorn

from rmbg_service.cli.options import LicenseOption, ModelOption
from rmbg_service.diagnostics.memory import check_memory
from rmbg_service.errors import ConfigurationError
from rmbg_service.serving.engine import STOP_S, Engine
from rmbg_service.serving.logs import logging_to_stderr
from rmbg_service.serving.state import State
from rmbg_service.settings import Settings, load_settings
from rmbg_service.system.exit import exit_after, exit_now
from rmbg_service.system.stdout import try_to_write

if TYPE_CHECKING:
    from rmbg_service.api.protocol import BoundedProtocol

FAILED = 1
"""Exit status: the model did not load, the device is lost, or a prediction hung."""
WORK_LEFT = 3
"""Exit status: the time for the shutdown ran out before all work had ended."""

KEEP_ALIVE_S = 75
"""How long an idle connection stays open: longer than reverse proxies (60 s) and clients (5 s with
httpx) keep theirs, so that they close it. A request that crosses the server's close is lost."""

UVICORN = "0.54"
"""The minor version whose internals `BoundedProtocol` builds on, as in pyproject.toml."""

_DRAIN_MARGIN_S = 5
_EXIT_S = 2
_UPLOAD_MARGIN_S = 5  # the gate's answer to a slow upload comes first


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [RMBG_HOST].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [RMBG_PORT].")] = None,
    model: ModelOption = None,
    accept_license: LicenseOption = None,
) -> None:
    """Serve the API until SIGTERM or Ctrl+C; admitted requests are finished first."""
    settings = load_settings(host=host, port=port, model=model, accept_license=accept_license)
    with logging_to_stderr(settings.log_level, settings.log_format):
        engine = _run(settings)
    if engine.state is State.FAILED:
        print(f"error: {engine.failure}", file=sys.stderr)
        exit_now(FAILED)
    if engine.work_left:
        print("error: time ran out before all work had ended", file=sys.stderr)
        exit_now(WORK_LEFT)
    exit_after(_EXIT_S, WORK_LEFT)  # in case a thread hangs that nobody knows of


def _run(settings: Settings) -> Engine:
    """Serve until the end; the engine says how it ended."""
    require_uvicorn()
    from rmbg_service.api.app import create_app

    check_memory(settings)
    app = create_app(settings)
    engine: Engine = app.state.engine
    listener = _listen(settings)
    drain_s = int(settings.request_timeout_s) + _DRAIN_MARGIN_S
    config = uvicorn.Config(
        app,
        http=_protocol(settings),
        ws="none",  # a WebSocket would bypass the gate
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=drain_s,
        server_header=False,
    )
    server = _Server(config, engine, drain_s + STOP_S + _EXIT_S)
    engine.on_ready = lambda: _announce(engine, settings, listener)
    engine.on_failure = server.end
    for number in (signal.SIGTERM, signal.SIGINT):
        # Also after uvicorn has drained: it raises the signal once more, which must not kill.
        signal.signal(number, server.handle_exit)
    # A full garbage collection need not look at what the imports have made: it would stop the event
    # loop for several times as long.
    gc.freeze()
    server.run(sockets=[listener])
    return engine


def require_uvicorn() -> None:
    """Raise `ConfigurationError` for a uvicorn whose internals may differ."""
    if not uvicorn.__version__.startswith(f"{UVICORN}."):
        raise ConfigurationError(
            f"expected uvicorn {UVICORN}, found {uvicorn.__version__}:"
            f" run pip install 'uvicorn[standard]=={UVICORN}.*'"
        )


class _Server(uvicorn.Server):
    """uvicorn, which ends within `limit_s` of the first signal or of the engine's failure."""

    def __init__(self, config: uvicorn.Config, engine: Engine, limit_s: float) -> None:
        super().__init__(config)
        self._engine = engine
        self._limit_s = limit_s
        self._ending = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Admit nothing more, and begin the end."""
        self._engine.drain()
        self._limit(WORK_LEFT)
        super().handle_exit(sig, frame)

    def end(self) -> None:
        """Begin the end: the engine has failed."""
        self._engine.log_failure()
        self._limit(FAILED)
        self.should_exit = True

    def _limit(self, status: int) -> None:
        if not self._ending:
            self._ending = True
            exit_after(self._limit_s, status)


def _protocol(settings: Settings) -> "type[BoundedProtocol]":
    """The HTTP protocol with the limits of `settings`."""
    from rmbg_service.api.protocol import BoundedProtocol
    from rmbg_service.api.request_head import MAX_HEAD_BYTES

    class Protocol(BoundedProtocol):
        head_timeout_s = settings.client_idle_timeout_s
        rest_timeout_s = settings.upload_timeout_s + _UPLOAD_MARGIN_S
        max_message_bytes = 2 * settings.max_body_bytes + MAX_HEAD_BYTES

    return Protocol


def _listen(settings: Settings) -> socket.socket:
    """The listening socket; its connections end if the peer accepts nothing for too long."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; accepted sockets inherit it (RFC 5482)
        timeout_ms = int(settings.client_idle_timeout_s * 1000)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error};"
            " --host and --port, or RMBG_HOST and RMBG_PORT, choose another address"
        ) from None
    return listener


def _announce(engine: Engine, settings: Settings, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    model = engine.predictor
    height, width = model.input_size
    announcement = (
        f"rmbg-service is listening on http://{f'[{host}]' if ':' in host else host}:{port}\n"
        f"  model   {model.name} ({width} x {height}) on {model.device}, "
        f"licence {model.licence}\n"
        f"  limits  {settings.max_inflight_jobs} jobs, "
        f"{settings.max_inflight_pixels / 1e6:g} MP in flight, "
        f"{settings.max_image_pixels / 1e6:g} MP and "
        f"{settings.max_body_bytes / 1e6:g} MB per image\n"
    )
    try_to_write(sys.stdout, announcement)  # serving does not depend on it
