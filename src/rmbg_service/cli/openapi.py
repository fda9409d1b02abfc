"""`rmbg-service openapi`: the API's description, for client generators."""

import typer
import yaml

from rmbg_service.settings import Settings


def openapi() -> None:
    """Print the OpenAPI document as YAML."""
    from rmbg_service.api.app import create_app

    app = create_app(Settings.model_construct())
    typer.echo(
        yaml.safe_dump(app.openapi(), sort_keys=False, allow_unicode=True, width=100), nl=False
    )
