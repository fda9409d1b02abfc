"""`rmbg-service doctor`: whether the configured model works on this machine, and what to change."""

import json
from typing import Annotated

import typer

from rmbg_service.cli.options import LicenseOption, ModelOption
from rmbg_service.settings import load_settings


def doctor(
    model: ModelOption = None,
    accept_license: LicenseOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Load the model, cut out a reference image, and say what to change.

    Exits with 1 unless all is well.
    """
    from rmbg_service.diagnostics.doctor import examine

    findings = examine(load_settings(model=model, accept_license=accept_license))
    typer.echo(json.dumps(findings.as_json(), indent=2) if as_json else findings.as_text())
    if not findings.healthy:
        raise typer.Exit(1)
