"""GET /api/jobs/{request_id}: where a request in flight is, for whoever knows its id."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from rmbg_service.api.native.description import ACCEPT_LANGUAGE, problem
from rmbg_service.api.request_record import InFlight
from rmbg_service.serving.engine import Engine
from rmbg_service.serving.timings import Stage

PATH = "/api/jobs/{request_id}"


class Progress(BaseModel):
    """Where a request is on its way."""

    stage: Stage = Field(
        description="The stage it is in. `read` lasts until the body is complete, `encode` until "
        "the response has been sent; each further view goes through `queue` and `predict` again."
    )
    ahead: int = Field(description="Jobs that came before it and have no matte yet.")


def jobs_router(engine: Engine, in_flight: InFlight) -> APIRouter:
    """The route that tells the progress of the requests `in_flight`.

    Nothing is stored: a request is known from its admission until its response has left. The id,
    which its client chose, is the secret, so the route needs no key.
    """
    router = APIRouter(tags=["removal"])
    unknown: dict[int | str, dict[str, Any]] = {
        404: problem("No request with this id is in flight.")
    }
    # Described by hand: a declared parameter would bring FastAPI's own 422, which never comes.
    parameter = {
        "name": "request_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        "description": "The `X-Request-ID` that the request was sent with.",
    }

    @router.get(
        PATH,
        response_model=Progress,
        response_description="Where the request is.",
        responses=unknown,
        openapi_extra={"parameters": [parameter, ACCEPT_LANGUAGE]},
    )
    async def job_progress(request: Request) -> Response:
        """The stage of a request in flight and the number of jobs ahead of it."""
        record = in_flight.get(request.path_params["request_id"])
        if record is None:
            raise HTTPException(404, "no request with this id is in flight")
        timings = record.timings
        body = {"stage": timings.stage, "ahead": engine.jobs_ahead(timings)}
        return JSONResponse(body)

    return router
