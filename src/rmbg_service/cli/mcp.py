"""`rmbg-service mcp`: background removal for agents and editors."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from rmbg_service.cli.options import LicenseOption, ModelOption
from rmbg_service.settings import load_settings
from rmbg_service.system.extras import missing_extra


def mcp(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDERS...", help="Folders in which files may be read and written."
        ),
    ],
    model: ModelOption = None,
    accept_license: LicenseOption = None,
) -> None:
    """Let agents and editors remove backgrounds: an MCP server on stdin and stdout."""
    try:
        from rmbg_service.mcp.folders import Folders
        from rmbg_service.mcp.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "mcp":
            raise
        raise missing_extra("mcp", "the MCP server") from None
    settings = load_settings(model=model, accept_license=accept_license)
    asyncio.run(serve(settings, Folders(folders)))
