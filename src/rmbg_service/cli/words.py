"""Options that several commands share."""

from typing import Annotated

import typer

ModelOption = Annotated[
    str | None, typer.Option("--model", help="A model's name, hub id, folder or file [RMBG_MODEL].")
]
LicenseOption = Annotated[
    str | None,
    typer.Option("--accept-license", help="Licences you accept [RMBG_ACCEPT_LICENSE]."),
]
