"""From settings to the one predictor this process runs."""

from dataclasses import replace
from pathlib import Path

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.catalog import EMBEDDED, FILES, ModelSpec
from rmbg_service.models.predictor import Predictor
from rmbg_service.settings import Settings

WEIGHTS = Path(__file__).parent / "weights"


def select_predictor(settings: Settings) -> Predictor:
    """The predictor that `settings.model` names, not loaded yet.

    Raises `ConfigurationError` when there is no such model or file.
    """
    from rmbg_service.models.onnx import OnnxPredictor  # ONNX Runtime costs 0.1 s to import

    if settings.model == EMBEDDED.name:
        path, spec = WEIGHTS / "u2netp.onnx", EMBEDDED
    elif settings.model.endswith(".onnx"):
        path = Path(settings.model)
        spec = _spec_of_file(path, settings)
    else:
        raise ConfigurationError(
            f"RMBG_MODEL={settings.model} is neither {EMBEDDED.name!r} nor an .onnx file"
        )
    return OnnxPredictor(spec, path, settings.onnx_provider, settings.cpu_threads)


def _spec_of_file(path: Path, settings: Settings) -> ModelSpec:
    spec = FILES.get(path.stem) or ModelSpec(
        name=path.stem,
        runtime="onnx",
        source=path.name,
        licence="unknown",
        licence_url="",
        input_size=(1024, 1024),
    )
    size = settings.onnx_input_size
    return replace(
        spec,
        input_size=(size, size) if size else spec.input_size,
        mean=settings.onnx_mean or spec.mean,
        std=settings.onnx_std or spec.std,
        activation=settings.onnx_activation or spec.activation,
    )
