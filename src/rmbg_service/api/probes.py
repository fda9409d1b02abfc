"""Probes, metrics and facts about the service; none waits for the queue."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from rmbg_service import __version__
from rmbg_service.api.guard import endpoint_guard
from rmbg_service.diagnostics.quality import MIN_IOU
from rmbg_service.models.with_matting import matting_of
from rmbg_service.removal.attachments import ATTACHMENTS, AttachmentName
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.presets import PRESETS, Preset
from rmbg_service.serving.engine import Engine
from rmbg_service.serving.state import State
from rmbg_service.settings import PatchOrder

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])

_OPTIONS: dict[str, list[str]] = {
    name: schema.get("enum") or schema.get("anyOf", [{}])[0].get("enum", [])
    for name, schema in RemovalOptions.model_json_schema()["properties"].items()
}


class Status(BaseModel):
    """The response of a probe."""

    status: State = Field(description="The state of the service.")
    detail: str = Field(
        default="", description="Why it failed, if it has; empty if `/health` needs a key."
    )


class PatchOrderFacts(BaseModel):
    """How a BiRefNet's weights lay out input patches; see models.md."""

    order: PatchOrder
    source: Literal["setting", "weights", "catalogue", "files"] = Field(
        description="How the order was determined."
    )
    z: float = Field(
        description="Evidence in the weights, in standard errors: positive for `c_hg_wg`, negative "
        "for `wg_hg_c`; they decide from 6 on."
    )


class MattingFacts(BaseModel):
    """The model behind `detail=matting`."""

    name: str
    device: str
    licence: str = Field(description="SPDX name of the weights' licence.")
    dtype: str | None = Field(default=None, description="Its number format.")


class ModelFacts(BaseModel):
    """The model in use."""

    name: str
    device: str
    licence: str = Field(description="SPDX name of the weights' licence.")
    input_size: tuple[int, int] = Field(
        description="Height and width of the network's input, in px."
    )
    dtype: str | None = Field(default=None, description="Number format of BiRefNet or OpenVINO.")
    dtype_reason: str | None = Field(default=None, description="Why it is that one.")
    patch_order: PatchOrderFacts | None = Field(
        default=None, description="Of BiRefNet networks, once loaded."
    )
    matting: MattingFacts | None = Field(
        default=None, description="The matting model, if `RMBG_MATTING_MODEL` names one."
    )


class SelfCheckFacts(BaseModel):
    """How well the model cut out the reference image at the start; see doctor.md."""

    iou: float = Field(description="Intersection over union with the known matte.")
    mae: float = Field(description="Mean absolute error against it.")
    min_iou: float = Field(default=MIN_IOU, description="Below this the service does not start.")


class QueueFacts(BaseModel):
    """The work in flight."""

    jobs: int = Field(description="Jobs admitted and not finished.")
    waiting: int = Field(description="Those that wait for the predictor.")
    pixels: int = Field(description="Their pixels.")
    estimated_wait_s: float = Field(description="How long a new request would wait for its turn.")


class Health(BaseModel):
    """The state of the service at a glance."""

    status: State
    detail: str = ""
    version: str
    model: ModelFacts
    self_check: SelfCheckFacts | None = Field(
        default=None, description="The result, if `RMBG_SELF_CHECK` is on."
    )
    queue: QueueFacts


class Limits(BaseModel):
    """The limits that apply to clients."""

    max_image_pixels: int
    max_image_side: int
    max_body_bytes: int
    max_inflight_jobs: int
    max_inflight_pixels: int
    request_timeout_s: float
    upload_timeout_s: float
    client_idle_timeout_s: float


class Info(BaseModel):
    """What this service is and what it accepts."""

    version: str
    model: ModelFacts
    limits: Limits
    options: dict[str, list[str]] = Field(
        description="The options of `POST /api/remove-bg`, each with its values if those are a "
        "fixed list of names: `detail` has `matting` only if there is a matting model."
    )
    presets: list[Preset] = Field(
        description="The values of the option `preset`, each with the options that it sets."
    )
    images: list[AttachmentName] = Field(
        default=list(ATTACHMENTS),
        description="The further images that `POST /api/remove-bg` takes beside the photo.",
    )
    api_key_required: bool


def operations_router(engine: Engine, unauthorized: dict[str, Any]) -> APIRouter:
    """The routes for operators and their tools.

    `unauthorized` describes the 401 of those that `RMBG_OPEN_ENDPOINTS` closes.
    """
    router = APIRouter(tags=["operations"])
    matting = matting_of(engine.predictor)
    options = dict(_OPTIONS)
    if matting is None:
        options["detail"] = [value for value in options["detail"] if value != "matting"]

    settings = engine.settings
    shows_reason = "health" in settings.open_endpoints  # probes need no key

    def status(healthy: bool) -> JSONResponse:
        body = Status(status=engine.state, detail=engine.failure if shows_reason else "")
        return JSONResponse(body.model_dump(mode="json"), 200 if healthy else 503)

    def model() -> ModelFacts:
        order = getattr(engine.predictor, "patch_order", None)
        return ModelFacts(
            name=engine.predictor.name,
            device=engine.predictor.device,
            licence=engine.predictor.licence,
            input_size=engine.predictor.input_size,
            dtype=getattr(engine.predictor, "dtype", None),
            dtype_reason=getattr(engine.predictor, "dtype_reason", None),
            patch_order=order and PatchOrderFacts.model_validate(order, from_attributes=True),
            matting=matting and MattingFacts.model_validate(matting, from_attributes=True),
        )

    def get(path: str, **described: Any) -> Callable[[_Endpoint], _Endpoint]:
        """A route that answers HEAD, too, which uptime monitors send."""

        def add(endpoint: _Endpoint) -> _Endpoint:
            router.head(path, **described | {"include_in_schema": False})(endpoint)
            return router.get(path, **described)(endpoint)

        return add

    unhealthy: dict[int | str, dict[str, Any]] = {
        503: {"model": Status, "description": "Not live or not ready; `status` says why."}
    }

    @get(
        "/livez",
        response_model=Status,
        response_description="The service is alive.",
        responses=unhealthy,
    )
    async def livez() -> Response:
        """200 unless the service has failed and must be restarted."""
        return status(engine.alive)

    @get(
        "/readyz",
        response_model=Status,
        response_description="The service is ready.",
        responses=unhealthy,
    )
    async def readyz() -> Response:
        """200 while requests are accepted; a full queue does not change it."""
        return status(engine.state is State.READY)

    health_guard = endpoint_guard("health", settings)

    @get(
        "/health",
        response_model=Health | Status,
        dependencies=health_guard,
        response_description="The state, and more unless a key is missing.",
        openapi_extra={"security": [{}]} if health_guard else None,  # the key is optional
    )
    async def health(request: Request) -> Health | Response:
        """State, model, device, licence, version and queue; always 200.

        If `health` is closed, a request without a key gets only the state.
        """
        if not request.state.record.has_key:
            return JSONResponse({"status": engine.state})
        quality = engine.worker.quality
        return Health(
            status=engine.state,
            detail=engine.failure,
            version=__version__,
            model=model(),
            self_check=quality and SelfCheckFacts(iou=quality.iou, mae=quality.mae),
            queue=QueueFacts(
                jobs=engine.budget.jobs,
                waiting=engine.worker.queue_depth(),
                pixels=engine.budget.pixels,
                estimated_wait_s=round(engine.budget.estimated_wait_s, 3),
            ),
        )

    metrics_guard = endpoint_guard("metrics", settings)

    @get(
        "/metrics",
        response_class=Response,
        dependencies=metrics_guard,
        response_description="The metrics as text.",
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            **({401: unauthorized} if metrics_guard else {}),
        },
    )
    async def metrics() -> Response:
        """Prometheus metrics."""
        return Response(
            engine.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    info_guard = endpoint_guard("info", settings)

    @get(
        "/api/info",
        dependencies=info_guard,
        response_description="What the service accepts.",
        responses={401: unauthorized} if info_guard else {},
    )
    async def info() -> Info:
        """Model, licence, limits and version, for clients that adapt to them."""
        return Info(
            version=__version__,
            model=model(),
            limits=Limits.model_validate(settings, from_attributes=True),
            options=options,
            presets=list(PRESETS.values()),
            api_key_required=bool(settings.api_keys),
        )

    return router
