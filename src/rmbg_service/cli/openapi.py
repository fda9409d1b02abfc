"""`rmbg-service openapi`: the API's description, for client generators."""

from typing import Any

import typer
import yaml

from rmbg_service.settings import Settings


class _Dumper(yaml.SafeDumper):
    """Writes what occurs twice twice: some readers of YAML limit its aliases, or know none."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def openapi() -> None:
    """Print the OpenAPI document as YAML."""
    from rmbg_service.api.app import create_app
    from rmbg_service.models.catalog import EMBEDDED
    from rmbg_service.models.onnx import OnnxPredictor
    from rmbg_service.models.predictor import Located
    from rmbg_service.models.store import EMBEDDED_PATH

    # Whatever the environment says and whichever models are on this disk, the text is the same.
    predictor = OnnxPredictor(EMBEDDED, lambda: Located(EMBEDDED, EMBEDDED_PATH))
    app = create_app(Settings.model_construct(), predictor)
    typer.echo(
        yaml.dump(app.openapi(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100),
        nl=False,
    )
