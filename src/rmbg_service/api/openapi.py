"""The OpenAPI document of the app, and the route that serves it."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse, Response

from rmbg_service.api.schemas import Schemas


def operation_id(route: APIRoute) -> str:
    """The name of a route's function, which becomes the name of a function of generated clients."""
    return route.name


def add_components(app: FastAPI, components: Schemas) -> None:
    """Let the app's document have `components`, to which its routes refer by hand."""
    generate = app.openapi

    def document() -> dict[str, Any]:
        generated = generate()
        schemas: Schemas = generated["components"]["schemas"]
        generated["components"]["schemas"] = dict(sorted((schemas | components).items()))
        return generated

    app.openapi = document  # type: ignore[method-assign]


def document_router(app: FastAPI, dependencies: Sequence[Any]) -> APIRouter:
    """The route of the document, which names the prefix that the app is served under."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/openapi.json", methods=["GET", "HEAD"], dependencies=dependencies)
    async def document(request: Request) -> Response:
        prefix = request.scope.get("root_path", "").rstrip("/")
        servers = {"servers": [{"url": prefix}]} if prefix else {}
        return JSONResponse(app.openapi() | servers)

    return router
