"""The command line: `rmbg-service COMMAND`."""

import sys
from typing import Annotated

import typer

from rmbg_service import __version__
from rmbg_service.cli.doctor import doctor
from rmbg_service.cli.evaluate import evaluate
from rmbg_service.cli.help import HelpCommand, HelpGroup
from rmbg_service.cli.mcp import mcp
from rmbg_service.cli.models import models
from rmbg_service.cli.openapi import openapi
from rmbg_service.cli.remove import remove
from rmbg_service.cli.serve import serve
from rmbg_service.errors import RmbgError
from rmbg_service.serving.logs import silence_libraries

app = typer.Typer(
    cls=HelpGroup,
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},  # of every command
)
app.command(cls=HelpCommand)(serve)
app.command(cls=HelpCommand)(remove)
app.add_typer(models, name="models")
app.command(cls=HelpCommand)(evaluate)
app.command(cls=HelpCommand)(doctor)
app.command(cls=HelpCommand)(mcp)
app.command(cls=HelpCommand)(openapi)


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Remove the backgrounds of images, as a REST service or from the command line."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Entry point: a deliberate error, or one of the disk, is one line and not a traceback."""
    silence_libraries()
    try:
        app()
    except RmbgError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        path = "" if error.filename is None else f"{error.filename}: "
        sys.exit(f"error: {path}{error.strerror or error}")
