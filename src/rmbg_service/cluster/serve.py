"""The service as a Ray Serve application: replicas of the same app behind Ray's proxies."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from ray import serve

from rmbg_service.api.app import create_app
from rmbg_service.diagnostics.memory import check_memory
from rmbg_service.errors import RmbgError
from rmbg_service.serving.engine import STOP_S, Engine
from rmbg_service.serving.logs import silence_libraries
from rmbg_service.serving.state import State
from rmbg_service.settings import Settings, load_settings

_PROBES = 16  # requests beside the jobs: probes, the page, refusals that are being written
_DRAIN_MARGIN_S = 5


class Arguments(BaseModel):
    """The `args` of the application in a Serve config."""

    model_config = ConfigDict(extra="forbid")

    settings: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings by their names in lower case and without `RMBG_`; they override "
        "those of the environment of each node.",
    )


def build(arguments: Arguments) -> serve.Application:
    """The application: replicas that start when their model is loaded, one by default.

    A replica takes more requests at once than its gate admits, so that the gate answers 429 with a
    measured `Retry-After`, and no request waits in a proxy. A Serve config overrides the options of
    the deployment `Service`. Raises `ConfigurationError` for settings that cannot work.
    """
    settings = load_settings(**arguments.settings)
    drain_s = settings.request_timeout_s + _DRAIN_MARGIN_S + STOP_S
    deployment = serve.deployment(
        serve.ingress(_builder(settings))(Service),
        name="Service",
        max_ongoing_requests=4 * settings.max_inflight_jobs + _PROBES,
        graceful_shutdown_timeout_s=drain_s,
        health_check_period_s=5,
        health_check_timeout_s=10,
    )
    return deployment.bind()


class Service:
    """One replica: the app with an engine of its own."""

    app: FastAPI

    async def check_health(self) -> None:
        """What `/livez` says: Serve replaces a replica for which this raises."""
        engine: Engine = self.app.state.engine
        if not engine.alive:
            raise RmbgError(engine.failure or "the worker has ended")


def _builder(settings: Settings) -> Callable[[], FastAPI]:
    def app_of_replica() -> FastAPI:  # called in the replica: an engine cannot be sent
        silence_libraries()
        check_memory(settings)
        app = create_app(settings)
        app.router.lifespan_context = _until_ready(app)
        return app

    return app_of_replica


def _until_ready(app: FastAPI) -> Callable[[FastAPI], Any]:
    """The lifespan of `app`, which starts only once the model is loaded."""
    lifespan = app.router.lifespan_context
    engine: Engine = app.state.engine

    @asynccontextmanager
    async def ready(app: FastAPI) -> AsyncIterator[None]:
        ended = asyncio.Event()
        engine.on_ready = engine.on_failure = ended.set
        async with lifespan(app):
            await ended.wait()
            if engine.state is State.FAILED:
                raise RmbgError(engine.failure)
            yield
            engine.drain()

    return ready
