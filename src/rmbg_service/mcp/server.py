"""The MCP server: its tools, and how they report errors."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal
from weakref import WeakValueDictionary

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field, ValidationError

from rmbg_service import __version__
from rmbg_service.batch.outputs import format_of
from rmbg_service.batch.removers.local import LocalRemover, local_remover
from rmbg_service.errors import ClientError, RmbgError
from rmbg_service.mcp.folders import Folders, PathRefused
from rmbg_service.models.select import select_predictor
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.settings import Settings
from rmbg_service.system.atomic import atomic_write
from rmbg_service.system.files import read_bounded
from rmbg_service.url_fetch import Fetcher
from rmbg_service.validation import explained

_MAX_IMAGES = 200
_URL_SCHEMES = ("http://", "https://")


def _option(name: str) -> Any:
    """The description of an option, as in the API."""
    return Field(description=RemovalOptions.model_fields[name].description)


class SubjectBox(BaseModel):
    """A rectangle in px."""

    left: int
    top: int
    width: int
    height: int


class CutoutFile(BaseModel):
    """A file that was written."""

    path: str
    format: str
    width: int = Field(description="In px.")
    height: int = Field(description="In px.")
    found: bool = Field(description="Whether there is a subject; if not, the cutout is empty.")
    box: SubjectBox | None = Field(
        description="Where the subject is in the upright source; null if nothing was found."
    )
    confidence: float = Field(description="How certain the network was about what it kept, 0 to 1.")
    model: str


def cutout_server(remover: LocalRemover, folders: Folders, fetcher: Fetcher | None) -> MCPServer:
    """The server, whose tools read and write in `folders`; without a `fetcher` no URL is fetched.

    The model is loaded for the first image.
    """
    server = MCPServer("rmbg-service", version=__version__, log_level="WARNING")
    turns = asyncio.Semaphore(remover.parallel)
    locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()
    sources = f"a path in one of these folders: {folders}"
    if fetcher is not None:
        sources += "; or an http or https URL"

    async def read(source: str) -> bytes:
        if source.lower().startswith(_URL_SCHEMES):
            if fetcher is None:
                raise ClientError("this server fetches nothing; RMBG_URL_FETCH=on allows it")
            return await fetcher.fetch(source, remover.max_bytes)
        return await asyncio.to_thread(read_bounded, folders.resolve(source), remover.max_bytes)

    @server.tool(
        description="Remove the background of a photo: write its subject with a transparent "
        "background, or on a colour, to an image file.",
        annotations=ToolAnnotations(
            title="Remove the background of an image",
            destructive_hint=True,  # with overwrite
            idempotent_hint=True,
            open_world_hint=fetcher is not None,
        ),
    )
    async def remove_background(
        source: Annotated[str, Field(description=f"The image: {sources}.")],
        destination: Annotated[
            str,
            Field(
                description="The file to write, in one of the folders. Its suffix is its format: "
                ".png, .webp or .avif with transparency, .jpg without, .zip for colour and alpha, "
                ".psd for layers."
            ),
        ],
        overwrite: Annotated[bool, Field(description="Replace an existing file.")] = False,
        output: Annotated[
            Literal["cutout", "matte"],
            Field(description="`matte` is the alpha channel alone, as a grey image."),
        ] = "cutout",
        background: Annotated[str | None, _option("background")] = None,
        crop: Annotated[bool, _option("crop")] = False,
        margin: Annotated[str | None, _option("margin")] = None,
        shadow: Annotated[Literal["off", "keep", "drop", "auto"], _option("shadow")] = "off",
        detail: Annotated[
            Literal["auto", "off", "guided", "crop", "best", "matting"], _option("detail")
        ] = "auto",
        max_side: Annotated[int | None, _option("max_side")] = None,
    ) -> CutoutFile:
        given = {
            "output": output,
            "background": background,
            "crop": crop,
            "margin": margin,
            "shadow": shadow,
            "detail": detail,
            "max_side": max_side,
        }
        with tool_errors():
            path = folders.resolve(destination)
            options = RemovalOptions.model_validate(
                {name: value for name, value in given.items() if value is not None}
                | {"format": format_of(path)}
            )
            async with locks.setdefault(path, asyncio.Lock()):
                if path.exists() and not overwrite:
                    raise PathRefused(f"{path} exists; name another file or set overwrite")
                async with turns:
                    result = await remover.encode(await read(source), options)
                await asyncio.to_thread(atomic_write, path, result.data)
        return CutoutFile(
            path=str(path),
            format=result.format,
            width=result.width,
            height=result.height,
            found=result.box is not None,
            box=result.box and SubjectBox.model_validate(result.box, from_attributes=True),
            confidence=result.confidence,
            model=remover.model,
        )

    @server.tool(
        description=f"List the image files in {folders}, at most {_MAX_IMAGES}.",
        annotations=ToolAnnotations(title="List images", read_only_hint=True),
    )
    async def list_images() -> list[str]:
        with tool_errors():
            return await asyncio.to_thread(folders.images, _MAX_IMAGES)

    return server


async def serve(settings: Settings, folders: Folders) -> None:
    """Serve on stdin and stdout until the client closes them."""
    fetcher = None
    if settings.url_fetch:
        fetcher = Fetcher(settings.url_fetch_hosts, settings.url_fetch_timeout_s)
    predictor, stop = select_predictor(settings), asyncio.Event()
    async with local_remover(settings, predictor, RemovalOptions(), {}, stop) as remover:
        await cutout_server(remover, folders, fetcher).run_stdio_async()


@contextmanager
def tool_errors() -> Iterator[None]:
    """Report what was raised on purpose, or by the disk, to the client: in one line."""
    try:
        yield
    except ValidationError as error:
        raise ToolError(explained(error)) from None
    except RmbgError as error:
        raise ToolError(str(error)) from None
    except OSError as error:
        path = "" if error.filename is None else f"{error.filename}: "
        raise ToolError(f"{path}{error.strerror or error}") from None
