"""`rmbg-service serve`: the HTTP server in this process."""

import logging
import os
import signal
import socket
import sys
from types import FrameType
from typing import Annotated

import typer
import uvicorn

from rmbg_service.cli.words import LicenseOption, ModelOption
from rmbg_service.errors import ConfigurationError
from rmbg_service.serving.engine import Engine
from rmbg_service.serving.logs import configure_logging
from rmbg_service.serving.state import State
from rmbg_service.settings import Settings, load_settings

_DRAIN_MARGIN_S = 5
_UPLOAD_MARGIN_S = 5  # the gate's answer to a slow upload comes first


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [RMBG_HOST].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [RMBG_PORT].")] = None,
    model: ModelOption = None,
    accept_license: LicenseOption = None,
) -> None:
    """Serve the API until SIGTERM or Ctrl+C; what was admitted is finished first."""
    from rmbg_service.api.app import create_app
    from rmbg_service.api.protocol import MAX_HEAD_BYTES, BoundedProtocol

    settings = load_settings(host=host, port=port, model=model, accept_license=accept_license)
    configure_logging(settings.log_level, settings.log_format)
    app = create_app(settings)
    engine: Engine = app.state.engine
    listener = _listen(settings)
    BoundedProtocol.head_timeout_s = settings.client_idle_timeout_s
    BoundedProtocol.rest_timeout_s = settings.upload_timeout_s + _UPLOAD_MARGIN_S
    BoundedProtocol.max_message_bytes = 2 * settings.max_body_bytes + MAX_HEAD_BYTES
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",  # a WebSocket would go round the gate
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=int(settings.request_timeout_s) + _DRAIN_MARGIN_S,
        server_header=False,
    )
    server = _Server(config, engine)
    engine.on_ready = lambda: _announce(engine, settings, listener)
    engine.on_failure = lambda: setattr(server, "should_exit", True)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Also after uvicorn has drained: it raises the signal once more, which shall not kill.
        signal.signal(number, server.handle_exit)
    server.run(sockets=[listener])
    failed = engine.state is State.FAILED
    if failed:
        print(f"error: {engine.failure}", file=sys.stderr)
    if failed or not engine.idle:
        logging.shutdown()
        sys.stderr.flush()
        os._exit(int(failed))  # a thread that is stuck would keep an ordinary exit waiting


class _Server(uvicorn.Server):
    """uvicorn, told to admit nothing more from the moment the signal comes."""

    def __init__(self, config: uvicorn.Config, engine: Engine) -> None:
        super().__init__(config)
        self._engine = engine

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._engine.drain()
        super().handle_exit(sig, frame)


def _listen(settings: Settings) -> socket.socket:
    """The listening socket; its connections end when the peer takes nothing for too long."""
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
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}"
        ) from None
    return listener


def _announce(engine: Engine, settings: Settings, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    height, width = engine.predictor.input_size
    print(
        f"rmbg-service listens on http://{f'[{host}]' if ':' in host else host}:{port}\n"
        f"  model   {engine.predictor.name} ({width} x {height}) on {engine.device}, "
        f"licence {engine.licence}\n"
        f"  bounds  {settings.max_inflight_jobs} jobs, "
        f"{settings.max_inflight_pixels / 1e6:g} MP in flight, "
        f"{settings.max_image_pixels / 1e6:g} MP and "
        f"{settings.max_body_bytes / 1e6:g} MB a picture",
        flush=True,
    )
