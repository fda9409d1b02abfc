"""`rmbg-service serve`: the HTTP server in this process."""

import logging
import os
import signal
import socket
import sys
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
import uvicorn

from rmbg_service.cli.options import LicenseOption, ModelOption
from rmbg_service.errors import ConfigurationError
from rmbg_service.serving.engine import Engine
from rmbg_service.serving.logs import configure_logging
from rmbg_service.serving.state import State
from rmbg_service.settings import Settings, load_settings

if TYPE_CHECKING:
    from rmbg_service.api.protocol import BoundedProtocol

_DRAIN_MARGIN_S = 5
_UPLOAD_MARGIN_S = 5  # the gate's answer to a slow upload comes first


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [RMBG_HOST].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [RMBG_PORT].")] = None,
    model: ModelOption = None,
    accept_license: LicenseOption = None,
) -> None:
    """Serve the API until SIGTERM or Ctrl+C; admitted requests are finished first."""
    from rmbg_service.api.app import create_app

    settings = load_settings(host=host, port=port, model=model, accept_license=accept_license)
    configure_logging(settings.log_level, settings.log_format)
    app = create_app(settings)
    engine: Engine = app.state.engine
    listener = _listen(settings)
    config = uvicorn.Config(
        app,
        http=_protocol(settings),
        ws="none",  # a WebSocket would bypass the gate
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=int(settings.request_timeout_s) + _DRAIN_MARGIN_S,
        server_header=False,
    )
    server = _Server(config, engine)
    engine.on_ready = lambda: _announce(engine, settings, listener)
    engine.on_failure = lambda: setattr(server, "should_exit", True)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Also after uvicorn has drained: it raises the signal once more, which must not kill.
        signal.signal(number, server.handle_exit)
    server.run(sockets=[listener])
    failed = engine.state is State.FAILED
    if failed:
        print(f"error: {engine.failure}", file=sys.stderr)
    if failed or not engine.idle:
        logging.shutdown()
        sys.stderr.flush()
        os._exit(int(failed))  # a normal exit would wait for a stuck thread


class _Server(uvicorn.Server):
    """uvicorn, with an engine that admits nothing more once a signal has arrived."""

    def __init__(self, config: uvicorn.Config, engine: Engine) -> None:
        super().__init__(config)
        self._engine = engine

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._engine.drain()
        super().handle_exit(sig, frame)


def _protocol(settings: Settings) -> "type[BoundedProtocol]":
    """The HTTP protocol with the limits of `settings`."""
    from rmbg_service.api.protocol import MAX_HEAD_BYTES, BoundedProtocol

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
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}"
        ) from None
    return listener


def _announce(engine: Engine, settings: Settings, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    height, width = engine.predictor.input_size
    print(
        f"rmbg-service is listening on http://{f'[{host}]' if ':' in host else host}:{port}\n"
        f"  model   {engine.predictor.name} ({width} x {height}) on {engine.device}, "
        f"licence {engine.licence}\n"
        f"  limits  {settings.max_inflight_jobs} jobs, "
        f"{settings.max_inflight_pixels / 1e6:g} MP in flight, "
        f"{settings.max_image_pixels / 1e6:g} MP and "
        f"{settings.max_body_bytes / 1e6:g} MB an image",
        flush=True,
    )
