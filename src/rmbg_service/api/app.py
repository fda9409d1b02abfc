"""The one place that wires settings, predictor, engine and routes into an app."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException
from starlette.responses import Response

from rmbg_service import __version__
from rmbg_service.api.gate import Door, Gate
from rmbg_service.api.native.problems import problem_of_http_exception, problem_response
from rmbg_service.api.native.progress import jobs_router
from rmbg_service.api.native.routes import PATH as REMOVE_BG
from rmbg_service.api.native.routes import remove_bg_router
from rmbg_service.api.probes import ops_router
from rmbg_service.api.record import InFlight
from rmbg_service.api.removebg.errors import removebg_http_error
from rmbg_service.api.removebg.routes import PREFIX as REMOVEBG_PREFIX
from rmbg_service.api.removebg.routes import removebg_doors, removebg_router
from rmbg_service.api.url_fetch import Fetcher
from rmbg_service.errors import ConfigurationError
from rmbg_service.models.predictor import Predictor
from rmbg_service.models.select import select_predictor
from rmbg_service.serving.engine import Engine
from rmbg_service.serving.metrics import Metrics
from rmbg_service.settings import Settings, load_settings
from rmbg_service.system.resources import memory_limit_bytes, resident_bytes
from rmbg_service.web.page import page_router

log = logging.getLogger(__name__)


def create_app(
    settings: Settings | None = None,
    predictor: Predictor | None = None,
    fetcher: Fetcher | None = None,
) -> FastAPI:
    """An app that serves `predictor`, or the one that `settings.model` names.

    `fetcher` fetches pictures by URL; by default as `settings.url_fetch` says.

    `app.state.engine` is its engine. Raises `ConfigurationError` when it cannot work.
    """
    settings = settings or load_settings()
    check_memory(settings, memory_limit_bytes())
    engine = Engine(predictor or select_predictor(settings), settings, Metrics())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        engine.start()
        yield
        await engine.stop()

    app = FastAPI(
        title="rmbg-service",
        summary="Background removal with a bounded queue and real alpha.",
        version=__version__,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # ours loads nothing from other hosts
        redoc_url=None,
    )
    app.state.engine = engine
    app.add_exception_handler(HTTPException, _http_exception_response)
    app.include_router(remove_bg_router(engine))
    app.include_router(removebg_router(engine, fetcher or _fetcher(settings)))
    in_flight: InFlight = {}
    app.include_router(jobs_router(engine, in_flight))
    app.include_router(ops_router(engine))
    app.include_router(page_router(page=settings.page))
    doors = {("POST", REMOVE_BG): Door(problem_response)} | removebg_doors(engine)
    app.add_middleware(Gate, engine=engine, doors=doors, in_flight=in_flight)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["*"],
        )
    return app


async def _http_exception_response(request: Request, error: Exception) -> Response:
    """The router's own errors (404, 405) in the form of the API they belong to."""
    assert isinstance(error, HTTPException)
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    if path.startswith(REMOVEBG_PREFIX):
        return removebg_http_error(error)
    return problem_of_http_exception(request, error)


def _fetcher(settings: Settings) -> Fetcher | None:
    if not settings.url_fetch:
        return None
    at_once = max(1, settings.max_inflight_jobs // 4)  # a slow host holds up no more than these
    return Fetcher(settings.url_fetch_hosts, settings.url_fetch_timeout_s, at_once)


def check_memory(settings: Settings, limit_bytes: int | None) -> None:
    """Log what the bounds add up to; raise `ConfigurationError` when it does not fit."""
    base, jobs = resident_bytes(), settings.peak_job_bytes
    log.info(
        "memory: %d MB now + %d MB for the jobs in flight, of %s MB",
        base / 1e6,
        jobs / 1e6,
        "unknown" if limit_bytes is None else limit_bytes // 1_000_000,
    )
    if limit_bytes is not None and base + jobs > limit_bytes:
        raise ConfigurationError(
            f"the bounds allow {(base + jobs) / 1e9:.1f} GB but only {limit_bytes / 1e9:.1f} GB of "
            "memory are there: lower RMBG_MAX_INFLIGHT_PIXELS, RMBG_MAX_IMAGE_PIXELS, "
            "RMBG_MAX_INFLIGHT_JOBS or RMBG_MAX_BODY_BYTES"
        )
