"""The web page, and the API's document for people: all of it files of this package."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePath
from typing import Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

_PAGE, _WORKER, _DOCS = "index.html", "worker.js", "swagger/docs.html"
_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'{style}; img-src 'self' blob: data:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_PAGE_POLICY = _POLICY.format(style="")
_DOCS_POLICY = _POLICY.format(style=" 'unsafe-inline'")  # Swagger UI writes style attributes


@dataclass(frozen=True)
class _File:
    """A file as it is sent; `etag` is made of its content: in a wheel every file has one age."""

    content: bytes
    media_type: str
    etag: str


def page_router(*, page: bool, docs_dependencies: Sequence[Any] = ()) -> APIRouter:
    """`/docs` and its files; with `page` also the web page at `/` and its files.

    `docs_dependencies` guard `/docs` itself; its files are those of a public package.
    """
    router = APIRouter(include_in_schema=False)
    held = _static_files()
    if not page:
        held = {name: held[name] for name in held if name.startswith(("swagger/", "icon."))}

    if page:

        @router.api_route("/", methods=["GET", "HEAD"])
        async def index(request: Request) -> Response:
            return _respond(request, held[_PAGE], _PAGE_POLICY)

        @router.api_route("/worker.js", methods=["GET", "HEAD"])
        async def worker(request: Request) -> Response:  # not in /static: it may act beside it only
            return _respond(request, held[_WORKER], _PAGE_POLICY)

    @router.api_route("/docs", methods=["GET", "HEAD"], dependencies=docs_dependencies)
    async def docs(request: Request) -> Response:
        return _respond(request, held[_DOCS], _DOCS_POLICY)

    @router.api_route("/static/{name:path}", methods=["GET", "HEAD"])
    async def static(request: Request, name: str) -> Response:
        if name not in held:
            raise HTTPException(404)
        return _respond(request, held[name], _PAGE_POLICY)

    return router


@cache
def _static_files() -> Mapping[str, _File]:
    return _read(files("rmbg_service.web") / "static")


def _read(folder: Traversable, prefix: str = "") -> dict[str, _File]:
    """Every file of a known type below `folder`, by its path in it."""
    found: dict[str, _File] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            found |= _read(entry, f"{prefix}{entry.name}/")
        elif (suffix := PurePath(entry.name).suffix) in _MEDIA_TYPES:
            content = entry.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[prefix + entry.name] = _File(content, _MEDIA_TYPES[suffix], etag)
    return found


def _respond(request: Request, file: _File, policy: str) -> Response:
    """The file, or 304 when the browser has it (RFC 9110, section 13.1.2)."""
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": policy,
        "ETag": file.etag,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or file.etag in known:  # with its quotation marks, so a whole tag
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)
