import re
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from rmbg_service.cli import app
from rmbg_service.cli.help import HelpAllOption, HelpCommand

COMMANDS = ("serve", "remove", "evaluate", "doctor", "openapi", "mcp")
GROUPED = tuple(("models", each) for each in ("list", "show", "pull", "export", "import"))


def shown(*arguments: str, columns: int = 100) -> str:
    result = CliRunner(env={"COLUMNS": str(columns)}).invoke(app, arguments)
    assert result.exit_code == 0
    return result.output


def test_the_help_of_remove_fits_a_screen() -> None:
    lines = shown("remove", "--help").splitlines()
    assert 24 <= len(lines) <= 40
    assert max(map(len, lines)) <= 100
    assert "  --crop / --no-crop                Crop to the subject and its shadow." in lines


HELPS = [
    ("--help",),
    ("models", "--help"),
    *((command, "--help") for command in COMMANDS),
    *((*command, "--help") for command in GROUPED),
    ("remove", "--help-all"),
]


@pytest.mark.parametrize("arguments", HELPS, ids=" ".join)
def test_no_help_shows_how_it_is_made(arguments: tuple[str, ...]) -> None:
    text = shown(*arguments, columns=200)
    assert text.startswith(" ".join(["Usage: root", *arguments[:-1], "[OPTIONS]"]))
    assert "╭" not in text
    assert "None" not in text
    assert re.search(r"<(str|bool|int|float|path|list)|\b(str|bool|int|float)\b", text) is None


@pytest.mark.parametrize("command", [(), ("remove",), ("models",), ("models", "pull")])
def test_a_short_flag_shows_the_help(command: tuple[str, ...]) -> None:
    assert shown(*command, "-h") == shown(*command, "--help")


def test_the_help_of_a_group_lists_its_commands() -> None:
    lines = shown("models", "--help", columns=80).splitlines()
    assert "  export  Write weights to a folder or tar file, for a machine without a" in lines
    assert "          network." in lines
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_described_in_a_sentence(command: str) -> None:
    group = typer.main.get_command(app)
    for parameter in group.commands[command].params:  # type: ignore[attr-defined]
        text = getattr(parameter, "help", "")
        assert text, parameter.name
        assert text.endswith(".")
        assert not text[0].islower()


def test_options_are_grouped_and_rare_ones_are_hidden() -> None:
    help_app = typer.Typer()

    @help_app.command(cls=HelpCommand)
    def command(
        inputs: Annotated[list[str], typer.Argument(metavar="INPUTS...", rich_help_panel="Files")],
        rare: Annotated[bool, typer.Option("--rare", hidden=True, help="For a few.")] = False,
        size: Annotated[
            int, typer.Option(help="How large it is. " * 4, rich_help_panel="Files")
        ] = 1,
        help_all: HelpAllOption = False,
    ) -> None:
        """Do it."""

    usual = CliRunner(env={"COLUMNS": "80"}).invoke(help_app, ["--help"]).output
    assert usual.startswith("Usage: command [OPTIONS] INPUTS...\n\nDo it.\n\nFiles:\n  INPUTS...\n")
    assert "  --size SIZE                       How large it is. How large it is." in usual
    assert "--rare" not in usual
    assert "  --rare " in CliRunner().invoke(help_app, ["--help-all"]).output


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("remove", "photo.jpg", "-o", ""), "'--out' / '-o'"),
        (("remove", "photo.jpg", "--out="), "'--out' / '-o'"),
        (("remove", "photo.jpg", ""), "'INPUTS...'"),
        (("remove", "photo.jpg", "--background-image", ""), "'--background-image'"),
        (("remove", "photo.jpg", "--preset", "amazon", "--preset", ""), "'--preset'"),
        (("evaluate", "photos", "--out", ""), "'--out'"),
        (("models", "export", "", "u2netp"), "'TARGET'"),
        (("mcp", ""), "'FOLDERS...'"),
        (("serve", "--model", ""), "'--model'"),
    ],
)
def test_an_empty_value_is_refused_by_name(arguments: tuple[str, ...], named: str) -> None:
    """As a path it would be the current folder: a variable of the shell that is not set."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert f"Invalid value for {named}: must not be empty" in result.stderr
