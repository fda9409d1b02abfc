"""The text of `--help`: an option a line, in groups, for a screen of 100 columns."""

import shutil
import textwrap
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand

MAX_WIDTH = 100
_LEFT = 36
_MIN_TEXT = 24
_LAST = ("Model", "Options")


class HelpCommand(TyperCommand):
    """A command with a compact help. Hidden options are shown by `--help-all` only."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(help_text(ctx, everything=False))


def help_text(ctx: typer.Context, *, everything: bool) -> str:
    """The help of a command, with its hidden options or without.

    An option is listed under its `rich_help_panel`, with its `metavar` or else its name.
    """
    width = min(MAX_WIDTH, shutil.get_terminal_size().columns)
    parameters = [
        p for p in ctx.command.get_params(ctx) if everything or not getattr(p, "hidden", False)
    ]
    arguments = [_value(p) for p in parameters if isinstance(p, TyperArgument)]
    usage = " ".join(["Usage:", ctx.command_path, "[OPTIONS]", *arguments])
    described = textwrap.fill(" ".join((ctx.command.help or "").split()), width)
    groups: dict[str, list[str]] = {}
    for parameter in parameters:
        heading = getattr(parameter, "rich_help_panel", None) or (
            "Arguments" if isinstance(parameter, TyperArgument) else "Options"
        )
        groups.setdefault(heading, []).extend(_rows(parameter, width))
    groups = dict(sorted(groups.items(), key=lambda group: group[0] in _LAST))
    tables = ["\n".join([f"{heading}:", *rows]) for heading, rows in groups.items()]
    return "\n\n".join([usage, described, *tables]) + "\n"


def _rows(parameter: Any, width: int) -> Iterator[str]:
    """The lines of a parameter: what to type on the left, what it means on the right."""
    left = f"  {_typed(parameter)}"
    for text in textwrap.wrap(parameter.help or "", max(_MIN_TEXT, width - _LEFT)) or [""]:
        if len(left) >= _LEFT:
            yield left
            left = ""
        yield f"{left:{_LEFT}}{text}".rstrip()
        left = ""


def _typed(parameter: Any) -> str:
    if isinstance(parameter, TyperArgument):
        return _value(parameter)
    names = ", ".join(sorted(parameter.opts, key=len))
    if getattr(parameter, "is_flag", False):
        return " / ".join([names, *parameter.secondary_opts])
    return f"{names} {_value(parameter)}"


def _value(parameter: Any) -> str:
    return parameter.metavar or str(parameter.name).upper().replace("_", "-")


def _show_everything(ctx: typer.Context, value: bool) -> None:
    if value:
        typer.echo(help_text(ctx, everything=True), nl=False)
        raise typer.Exit


HelpAllOption = Annotated[
    bool,
    typer.Option(
        "--help-all",
        is_eager=True,
        expose_value=False,
        callback=_show_everything,
        help="Show all options.",
    ),
]
