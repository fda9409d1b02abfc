"""The one place that wires settings, predictor, engine and routes into an app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException
from starlette.responses import Response

from rmbg_service import __version__
from rmbg_service.api.gate import ErrorResponse, Gate
from rmbg_service.api.guard import GuardedRoutes, endpoint_guard
from rmbg_service.api.native import description as native
from rmbg_service.api.native.problems import problem_response
from rmbg_service.api.native.progress import jobs_router
from rmbg_service.api.native.routes import remove_bg_router
from rmbg_service.api.openapi import DocumentedApp, document_router
from rmbg_service.api.probes import operations_router
from rmbg_service.api.rembg import description as rembg
from rmbg_service.api.rembg.errors import error_response as rembg_error
from rmbg_service.api.rembg.routes import PATH as REMBG_PATH
from rmbg_service.api.rembg.routes import rembg_router
from rmbg_service.api.removebg import description as removebg
from rmbg_service.api.removebg import errors as removebg_errors
from rmbg_service.api.removebg.routes import PREFIX as REMOVEBG_PREFIX
from rmbg_service.api.removebg.routes import removebg_router
from rmbg_service.api.request_record import InFlight, RequestRecord
from rmbg_service.models.predictor import Predictor
from rmbg_service.models.select import select_predictor
from rmbg_service.serving.engine import Engine
from rmbg_service.serving.gauges import add_gauges
from rmbg_service.settings import Settings, load_settings
from rmbg_service.url_fetch import Fetcher
from rmbg_service.web.page import page_router


def create_app(
    settings: Settings | None = None,
    predictor: Predictor | None = None,
    fetcher: Fetcher | None = None,
) -> FastAPI:
    """An app that serves `predictor`, by default the one that `settings.model` names.

    `fetcher` fetches images by URL, by default one as `settings.url_fetch` says. `app.state.engine`
    is the engine. Raises `ConfigurationError` for settings that cannot work.
    """
    settings = settings or load_settings()
    engine = Engine(predictor or select_predictor(settings), settings)
    add_gauges(engine)
    fetcher = fetcher or _fetcher(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        engine.start()
        yield
        await engine.stop()

    app = DocumentedApp(
        native.COMPONENTS | removebg.COMPONENTS | rembg.COMPONENTS,
        key_required=bool(settings.api_keys),
        title="rmbg-service",
        summary="Background removal with a bounded queue and real alpha.",
        version=__version__,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.engine = engine
    in_flight: InFlight = {}
    docs_guard = endpoint_guard("docs", settings)
    routers: list[APIRouter] = [
        remove_bg_router(engine),
        removebg_router(engine, fetcher),
        rembg_router(engine, fetcher),
        jobs_router(engine, in_flight),
        operations_router(engine, unauthorized=native.RESPONSES[401]),
        page_router(page=settings.page, docs_dependencies=docs_guard),
        document_router(app, docs_guard),
    ]
    for router in routers:
        app.include_router(router)
    error_response = _error_response(engine)

    @app.exception_handler(HTTPException)
    async def router_error(request: Request, error: HTTPException) -> Response:
        """404 and 405."""
        return error_response(request, error)

    app.add_middleware(
        Gate,
        engine=engine,
        guarded_routes=GuardedRoutes(routers),
        error_response=error_response,
        in_flight=in_flight,
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["*"],
        )
    return app


def _error_response(engine: Engine) -> ErrorResponse:
    """What answers an error in the form of the API that its path belongs to."""
    removebg_error = removebg_errors.error_response(engine)

    def respond(request: Request, error: Exception) -> Response:
        record: RequestRecord = request.state.record
        if record.path.startswith(REMOVEBG_PREFIX):
            return removebg_error(request, error)
        if record.path == REMBG_PATH:
            return rembg_error(request, error)
        return problem_response(request, error)

    return respond


def _fetcher(settings: Settings) -> Fetcher | None:
    if not settings.url_fetch:
        return None
    at_once = max(1, settings.max_inflight_jobs // 4)  # a slow host holds up no more than these
    return Fetcher(settings.url_fetch_hosts, settings.url_fetch_timeout_s, at_once)
