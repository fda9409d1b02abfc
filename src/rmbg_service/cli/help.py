"""The text of `--help`: a command or an option a line, in groups, for a screen of 100 columns."""

import re
import shutil
import textwrap
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

MAX_WIDTH = 100
_LEFT = 36
_MIN_TEXT = 24
_LAST = ("Model", "Options")
_NO_INTEGER = re.compile(r".*\bvalid int.*")


class HelpCommand(TyperCommand):
    """A command with a compact help. Hidden options are shown by `--help-all` only."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What follows the command's name in the line of usage."""
        return ["[OPTIONS]", *(_value(p) for p in self.get_params(ctx) if _is_argument(p))]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what was typed. Raises `typer.BadParameter`, without Python's vocabulary.

        An empty value, such as a variable of the shell that is not set, is refused: as a path it
        would be the current folder.
        """
        self._require_values(ctx, args)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = _NO_INTEGER.sub("must be a whole number", error.message)
            raise

    def _require_values(self, ctx: Any, args: list[str]) -> None:
        parser: Any = self.make_parser(ctx)
        typed, _, order = parser.parse_args(args=list(args))
        for parameter in order:
            values = typed.get(parameter.name)
            if "" in (values if isinstance(values, list | tuple) else [values]):
                raise typer.BadParameter("must not be empty", ctx, parameter)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(help_text(ctx, everything=False))


class HelpGroup(TyperGroup):
    """Commands with the help that `HelpCommand` has."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        width = _width()
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        left = max(len(name) for name, _ in commands) + 4
        rows = [
            textwrap.fill(
                _first_sentence(command.help if command else None),
                width,
                initial_indent=f"  {name:{left - 2}}",
                subsequent_indent=" " * left,
            )
            for name, command in commands
        ]
        usage = f"Usage: {ctx.command_path} [OPTIONS] COMMAND ..."
        described = textwrap.fill(self.help or "", width)
        listed = "\n".join(["Commands:", *rows])
        options = _tables(ctx, width, everything=False)
        more = f"'{ctx.command_path} COMMAND --help' explains a command."
        formatter.write("\n\n".join([usage, described, listed, *options, more]) + "\n")


def help_text(ctx: typer.Context, *, everything: bool) -> str:
    """The help of a command, with its hidden options or without.

    An option is listed under its `rich_help_panel`, with its `metavar` or else its name.
    """
    width = _width()
    usage = " ".join(["Usage:", ctx.command_path, *ctx.command.collect_usage_pieces(ctx)])
    described = textwrap.fill(" ".join((ctx.command.help or "").split()), width)
    return "\n\n".join([usage, described, *_tables(ctx, width, everything=everything)]) + "\n"


def _width() -> int:
    return min(MAX_WIDTH, shutil.get_terminal_size().columns)


def _first_sentence(text: str | None) -> str:
    return re.split(r"(?<=\.)\s", " ".join((text or "").split()), maxsplit=1)[0]


def _tables(ctx: typer.Context, width: int, *, everything: bool) -> list[str]:
    """The parameters in groups, each a heading and a line for each parameter."""
    groups: dict[str, list[str]] = {}
    for parameter in ctx.command.get_params(ctx):
        if getattr(parameter, "hidden", False) and not everything:
            continue
        heading = getattr(parameter, "rich_help_panel", None) or (
            "Arguments" if _is_argument(parameter) else "Options"
        )
        groups.setdefault(heading, []).extend(_rows(parameter, width))
    groups = dict(sorted(groups.items(), key=lambda group: group[0] in _LAST))
    return ["\n".join([f"{heading}:", *rows]) for heading, rows in groups.items()]


def _is_argument(parameter: Any) -> bool:
    return isinstance(parameter, TyperArgument)


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
    if _is_argument(parameter):
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
