"""Options that several commands share, and those made from the fields of `RemovalOptions`."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Optional

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from rmbg_service.cli.option_help import MODEL, ORDER, option_help
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.validation import in_words

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="A model's name, hub id, folder or file [RMBG_MODEL].",
        rich_help_panel=MODEL,
    ),
]
LicenseOption = Annotated[
    str | None,
    typer.Option(
        "--accept-license",
        metavar="NAMES",
        help="Licences you accept [RMBG_ACCEPT_LICENSE].",
        rich_help_panel=MODEL,
    ),
]


_REPEATED = {"preset"}
"""Options that may be given several times; each time makes a further file of the same image."""


def with_removal_options(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with an option for each field of `RemovalOptions`.

    Those that were given on the command line are passed as the dict `given`.
    """
    own = [p for p in inspect.signature(command).parameters.values() if p.name != "given"]
    made = [_parameter(name, RemovalOptions.model_fields[name]) for name in ORDER]

    def call(**arguments: Any) -> None:
        values = {parameter.name: arguments.pop(parameter.name) for parameter in made}
        given = {name: value for name, value in values.items() if value not in (None, [])}
        command(**arguments, given=given)

    call.__name__, call.__doc__ = command.__name__, command.__doc__
    call.__signature__ = inspect.Signature([*own, *made])  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *made]}
    return call


def preset_options(given: dict[str, Any]) -> list[RemovalOptions]:
    """The options for each preset that is given, or those without one; see `removal_options`."""
    presets = list(dict.fromkeys(given.get("preset") or [None]))
    rest = {name: value for name, value in given.items() if name != "preset"}
    return [removal_options(rest | ({"preset": name} if name else {})) for name in presets]


def removal_options(given: dict[str, Any]) -> RemovalOptions:
    """The parsed options. Raises `typer.BadParameter`, which names the wrong ones."""
    try:
        return RemovalOptions.model_validate(given)
    except ValidationError as error:
        reasons = []
        for item in error.errors():
            name = "".join(f"--{part}: ".replace("_", "-") for part in item["loc"])
            reasons.append(f"{name}{in_words(item)}")
        raise typer.BadParameter("; ".join(reasons)) from None


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    """An option with the default None, as text that `removal_options` parses."""
    annotation: object = bool if field.annotation is bool else str
    if name in _REPEATED:
        annotation = list[str]
    shown = option_help(name, field)
    option = typer.Option(
        help=shown.text,
        metavar=shown.metavar,
        rich_help_panel=shown.group,
        hidden=shown.rare,
        show_default=False,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[Optional[annotation], option],  # noqa: UP045 - at run time
    )
