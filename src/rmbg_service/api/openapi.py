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


class DocumentedApp(FastAPI):
    """An app whose document has `components`, to which its routes refer by hand.

    The first line of an operation's docstring is its summary, the rest its description. Unless
    `key_required`, the operations that take a key are described as doing without, too.
    """

    def __init__(self, components: Schemas, *, key_required: bool, **options: Any) -> None:
        super().__init__(
            generate_unique_id_function=operation_id,
            openapi_url=None,  # `document_router` has a route that can be guarded
            docs_url=None,  # web/ has one that loads nothing from other hosts
            redoc_url=None,
            **options,
        )
        self._components = components
        self._key_required = key_required

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            schemas = document["components"]["schemas"] | self._components
            document["components"]["schemas"] = dict(sorted(schemas.items()))
            for path in document["paths"].values():
                for operation in path.values():
                    if "security" in operation and not self._key_required:
                        operation["security"] = [*operation["security"], {}]
                    summary, _, description = operation.pop("description").partition("\n")
                    operation["summary"] = summary.removesuffix(".")
                    if description:
                        operation["description"] = description.strip()
            self.openapi_schema = document
        return self.openapi_schema


def document_router(app: FastAPI, dependencies: Sequence[Any]) -> APIRouter:
    """The route of the document, which names the prefix that the app is served under."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/openapi.json", methods=["GET", "HEAD"], dependencies=dependencies)
    async def document(request: Request) -> Response:
        prefix = request.scope.get("root_path", "").rstrip("/")
        servers = {"servers": [{"url": prefix}]} if prefix else {}
        return JSONResponse(app.openapi() | servers)

    return router
