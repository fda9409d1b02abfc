import re
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from rmbg_service.cli import app
from rmbg_service.cli.options import removal_options, with_removal_options
from rmbg_service.removal.options import RemovalOptions


def parse(*arguments: str) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    @with_removal_options
    def command(inputs: list[str], loud: bool = False, *, given: dict[str, Any]) -> None:
        seen.update(given, inputs=inputs, loud=loud)

    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return seen


def test_only_what_is_given_is_an_option() -> None:
    assert parse("a.jpg") == {"inputs": ["a.jpg"], "loud": False}
    given = ["--crop", "--no-decontaminate", "--color-profile", "keep", "--quality", "80"]
    assert parse("a.jpg", "--loud", *given) == {
        "inputs": ["a.jpg"],
        "loud": True,
        "crop": True,
        "decontaminate": False,
        "color_profile": "keep",
        "quality": "80",
    }
    assert removal_options({"quality": "80"}).quality == 80


@pytest.mark.parametrize("name", RemovalOptions.model_fields)
def test_every_option_of_the_api_is_one_of_the_command(name: str) -> None:
    shown = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["remove", "--help-all"]).output
    option = re.compile(rf"^  --{name.replace('_', '-')} (\S.*)$", re.MULTILINE)
    assert len(option.findall(shown)) == 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"quality": 0}, "--quality: "),
        ({"max_side": 0}, "--max-side: "),
        ({"margin": "1px"}, "margin needs crop=true"),
        ({"background": "nocolour"}, "--background: "),
    ],
)
def test_wrong_values_are_named(given: dict[str, Any], says: str) -> None:
    with pytest.raises(typer.BadParameter, match=says):
        removal_options(given)


def test_the_help_follows_the_fields() -> None:
    shown = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["remove", "--help-all"]).output
    for name, field in RemovalOptions.model_fields.items():
        (line,) = re.findall(
            rf"^  --{name.replace('_', '-')} .*(?:\n {{36}}.*)*$", shown, re.MULTILINE
        )
        text = " ".join(line.split())
        if isinstance(field.default, int | float | str) and field.default is not False:
            shown_default = (
                "yes" if field.default is True else f"{field.default}".removesuffix(".0")
            )
            assert f"[{shown_default}]" in text
        values = {*json_values(name)} - ({"auto", "jpg"} if name == "format" else set())
        assert all(value in text for value in values), name


def json_values(name: str) -> list[str]:
    schema = RemovalOptions.model_json_schema()["properties"][name]
    choices = [schema, *schema.get("anyOf", [])]
    return [value for choice in choices for value in choice.get("enum", [])]
