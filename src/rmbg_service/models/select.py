"""From settings to the one predictor this process runs."""

from dataclasses import replace
from pathlib import Path

from rmbg_service.errors import ConfigurationError
from rmbg_service.models import catalog, hub
from rmbg_service.models.catalog import BIREFNET, EMBEDDED, RMBG_2_0, ModelSpec
from rmbg_service.models.predictor import Predictor
from rmbg_service.settings import Settings

MATTE_SETTINGS = (
    "model_revision",
    "patch_order",
    "dtype",
    "onnx_input_size",
    "onnx_mean",
    "onnx_std",
    "onnx_activation",
)
"""Settings that the mattes of a model depend on."""

SPEED_SETTINGS = ("device", "compile", "onnx_provider", "cpu_threads")
"""Those that its times depend on, and its mattes by no more than rounding."""

WEIGHTS = Path(__file__).parent / "weights"


def select_predictor(settings: Settings) -> Predictor:
    """The predictor that `settings.model` names, not loaded yet; weights are fetched by `load`.

    Raises `ConfigurationError` when there is no such model or file, or its licence is not accepted.
    """
    spec = select_spec(settings)
    catalog.check_licence(spec, frozenset(settings.accept_license))
    if spec.runtime == "onnx":
        return _onnx(spec, settings)
    return _birefnet(spec, settings)


def select_spec(settings: Settings) -> ModelSpec:
    """The row of the model that `settings.model` names, licence unchecked.

    Raises `ConfigurationError` when there is no such model.
    """
    model = settings.model
    if model == "auto":
        return _best_in_cache(settings)
    if model.endswith(".onnx"):
        return _spec_of_file(Path(model), settings)
    if Path(model).is_dir():
        return catalog.unlisted(model)
    row = catalog.find(model)
    if row is not None:
        return row
    if model.count("/") == 1:
        return catalog.unlisted(model)
    names = ", ".join(spec.name for spec in catalog.CATALOG)
    raise ConfigurationError(
        f"RMBG_MODEL={model} is no file, no folder, no hub id and none of: auto, {names}"
    )


def _best_in_cache(settings: Settings) -> ModelSpec:
    """What `auto` means: never a download, never a licence that was not accepted."""
    for spec in (RMBG_2_0, BIREFNET):
        try:
            catalog.check_licence(spec, frozenset(settings.accept_license))
        except ConfigurationError:
            continue
        if hub.cached(spec.source, settings.model_revision or spec.revision):
            return spec
    return EMBEDDED


def _spec_of_file(path: Path, settings: Settings) -> ModelSpec:
    known = catalog.FILES.get(path.stem) or ModelSpec(
        name=path.stem,
        runtime="onnx",
        source="",
        licence="unknown",
        licence_url="",
        input_size=(1024, 1024),
    )
    size = settings.onnx_input_size
    return replace(
        known,
        source=str(path),
        input_size=(size, size) if size else known.input_size,
        mean=settings.onnx_mean or known.mean,
        std=settings.onnx_std or known.std,
        activation=settings.onnx_activation or known.activation,
    )


def _onnx(spec: ModelSpec, settings: Settings) -> Predictor:
    from rmbg_service.models.onnx import OnnxPredictor  # ONNX Runtime costs 0.1 s to import

    path = WEIGHTS / "u2netp.onnx" if spec is EMBEDDED else Path(spec.source)
    return OnnxPredictor(spec, path, settings.onnx_provider, settings.cpu_threads)


def _birefnet(spec: ModelSpec, settings: Settings) -> Predictor:
    from rmbg_service.models.birefnet.predictor import BiRefNetPredictor  # torch costs seconds

    return BiRefNetPredictor(
        spec,
        spec.source,
        device=settings.device,
        dtype=settings.dtype,
        compile=settings.compile,
        patch_order=settings.patch_order,
        revision=settings.model_revision,
        local_files_only=settings.model == "auto",
        cpu_threads=settings.cpu_threads,
    )
