"""`rmbg-service serve`: the HTTP server in this process."""

import logging
import os
import signal
import sys
from types import FrameType
from typing import Annotated

import typer
import uvicorn

from rmbg_service.serving.engine import Engine
from rmbg_service.serving.logs import configure_logging
from rmbg_service.serving.state import State
from rmbg_service.settings import Settings, load_settings

_DRAIN_MARGIN_S = 5


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [RMBG_HOST].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [RMBG_PORT].")] = None,
    model: Annotated[
        str | None, typer.Option(help="A model's name or an .onnx file [RMBG_MODEL].")
    ] = None,
) -> None:
    """Serve the API until SIGTERM or Ctrl+C; what was admitted is finished first."""
    from rmbg_service.api.app import create_app

    given = {"host": host, "port": port, "model": model}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    configure_logging(settings.log_level, settings.log_format)
    app = create_app(settings)
    engine: Engine = app.state.engine
    server = _Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=int(settings.request_timeout_s) + _DRAIN_MARGIN_S,
            date_header=True,
            server_header=False,
        ),
        engine,
    )
    engine.on_ready = lambda: _announce(engine, settings, server)
    engine.on_failure = lambda: setattr(server, "should_exit", True)
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal once more after it has drained; that one means nothing.
        signal.signal(number, lambda *_: None)
    server.run()
    if engine.state is State.FAILED or not server.started:
        logging.shutdown()
        print(f"error: {engine.failure or 'the server could not start'}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)  # a hung predictor's thread would keep an ordinary exit waiting for ever


class _Server(uvicorn.Server):
    """uvicorn, told to admit nothing more from the moment the signal comes."""

    def __init__(self, config: uvicorn.Config, engine: Engine) -> None:
        super().__init__(config)
        self._engine = engine

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._engine.drain()
        super().handle_exit(sig, frame)

    @property
    def address(self) -> str:
        """Where it listens, as a URL; the port is the real one when 0 was asked for."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _announce(engine: Engine, settings: Settings, server: _Server) -> None:
    height, width = engine.predictor.input_size
    print(
        f"rmbg-service listens on {server.address}\n"
        f"  model   {engine.predictor.name} ({width} x {height}) on {engine.device}\n"
        f"  bounds  {settings.max_inflight_jobs} jobs, "
        f"{settings.max_inflight_pixels / 1e6:g} MP in flight, "
        f"{settings.max_image_pixels / 1e6:g} MP and "
        f"{settings.max_body_bytes / 1e6:g} MB a picture",
        flush=True,
    )
