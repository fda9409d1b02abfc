"""From settings to the one predictor this process runs, with a matting network or without."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from rmbg_service.errors import ConfigurationError
from rmbg_service.models import catalog
from rmbg_service.models.catalog import BIREFNET, EMBEDDED, RMBG_2_0, VITMATTE
from rmbg_service.models.download import Progress
from rmbg_service.models.predictor import Located, Predictor
from rmbg_service.models.pull import pull, verify
from rmbg_service.models.spec import ModelSpec
from rmbg_service.models.store import Store
from rmbg_service.models.with_matting import PredictorWithMatting
from rmbg_service.settings import Settings

log = logging.getLogger(__name__)

MATTE_SETTINGS = (
    "model_revision",
    "matting_model",
    "patch_order",
    "dtype",
    "onnx_input_size",
    "onnx_mean",
    "onnx_std",
    "onnx_activation",
)
"""Settings that the mattes of a model depend on."""

SPEED_SETTINGS = ("device", "compile", "onnx_provider", "cpu_threads")
"""Settings that its times depend on, and its mattes only by rounding."""


def select_predictor(settings: Settings) -> Predictor:
    """The predictor that `settings.model` names, not loaded yet; `load` fetches missing weights.

    It is a `PredictorWithMatting` if `settings.matting_model` is set. Raises `ConfigurationError`
    if there is no such model or file, or its licence is not accepted.
    """
    store = Store.of(settings)
    predictor = _predictor(settings, store)
    if settings.matting_model is None:
        return predictor
    return PredictorWithMatting(predictor, _vitmatte(settings.matting_model, settings, store))


def _predictor(settings: Settings, store: Store) -> Predictor:
    spec, path = _select(settings, store)
    if spec.runtime == "vitmatte":
        raise ConfigurationError(
            f"{spec.name} refines the mattes of another model: set RMBG_MATTING_MODEL to it, and"
            " RMBG_MODEL to that one"
        )
    _check_licence(spec, settings)
    locate = partial(_locate, spec, path, settings, store)
    if spec.runtime == "onnx":
        from rmbg_service.models.onnx import OnnxPredictor  # ONNX Runtime costs 0.1 s to import

        return OnnxPredictor(
            spec, locate, settings.onnx_provider, settings.cpu_threads, settings.dtype
        )
    return _birefnet(spec, locate, settings)


def _select(settings: Settings, store: Store) -> tuple[ModelSpec, Path | None]:
    """The model, and its file or folder if the settings name one."""
    model = settings.model
    if model == "auto":
        return _best_on_disk(settings, store), None
    path = Path(model)
    if path.exists() or path.suffix in (".onnx", ".safetensors"):
        return _spec_of_path(path, settings, store), path
    row = catalog.find(model)
    if row is not None:
        return row, None
    if model.count("/") == 1:
        return catalog.unlisted(model), None
    raise ConfigurationError(
        f"RMBG_MODEL={model} is not a file, a folder, a hub id or a known model{similar(model)};"
        " `rmbg-service models list` shows them"
    )


def similar(name: str) -> str:
    """` (did you mean NAME?)` for the model whose name is most like this one, if any is."""
    names = {spec.name.casefold(): spec.name for spec in catalog.CATALOG}
    close = get_close_matches(name.casefold(), names, n=1)
    return f" (did you mean {names[close[0]]}?)" if close else ""


def _best_on_disk(settings: Settings, store: Store) -> ModelSpec:
    """What `auto` means: never a download, never a licence that was not accepted."""
    for spec in (RMBG_2_0, BIREFNET):
        try:
            _check_licence(spec, settings)
        except ConfigurationError:
            continue
        if store.find(spec, settings.model_revision):
            return spec
    return EMBEDDED


def _spec_of_path(path: Path, settings: Settings, store: Store) -> ModelSpec:
    """The model in a file or folder: the catalogue's if its bytes are known, else an unknown one.

    Settings say how an unknown ONNX file is fed; without them, one with a well-known name is fed
    as the file of that name.
    """
    if not path.exists():
        raise ConfigurationError(f"no model file at {path}")
    known = store.identify(path)
    if known is None:
        log.warning(
            "%s is not in the catalogue: its licence is unknown, and so is what its bytes do not"
            " tell; see docs/models.md",
            path,
        )
    if path.suffix != ".onnx":
        return known or catalog.unlisted(str(path))
    size = settings.onnx_input_size
    spec = known or _unknown_onnx(path)
    return replace(
        spec,
        input_size=(size, size) if size else spec.input_size,
        mean=settings.onnx_mean or spec.mean,
        std=settings.onnx_std or spec.std,
        activation=settings.onnx_activation or spec.activation,
    )


def _unknown_onnx(path: Path) -> ModelSpec:
    unknown = ModelSpec(
        name=path.stem,
        runtime="onnx",
        source=str(path),
        licence="unknown",
        licence_url="",
        input_size=(1024, 1024),
    )
    alike = catalog.find_filename(path.name)
    if alike is None:
        return unknown
    return replace(
        unknown,
        input_size=alike.input_size,
        mean=alike.mean,
        std=alike.std,
        activation=alike.activation,
    )


def _locate(spec: ModelSpec, path: Path | None, settings: Settings, store: Store) -> Located:
    """The weights of `spec` on this disk, fetched if they are missing, and what they really are."""
    if path is not None:
        return Located(spec, path)
    revision = settings.model_revision
    path = store.find(spec, revision)
    if path is None and revision is None:
        path = next((found for known, found in store.elsewhere() if known.name == spec.name), None)
    if path is None:
        path = _fetch(spec, settings, store)
    elif spec.weights is not None and revision in (None, spec.revision):
        verify(path, spec.weights, store)
    known = spec if spec is EMBEDDED else store.identify(path)
    if known is not None and known.name != spec.name:
        log.warning("%s holds the weights of %s and is treated as such", spec.source, known.name)
        _check_licence(known, settings)
        spec = known
    log.info("%s: weights from %s", spec.name, path)
    return Located(spec, path)


def _fetch(spec: ModelSpec, settings: Settings, store: Store) -> Path:
    if settings.model_download == "never":
        raise ConfigurationError(
            f"{spec.name} is not on this disk and RMBG_MODEL_DOWNLOAD=never: fetch it with"
            f" `rmbg-service models pull {spec.name}`, or import it"
        )
    log.info("fetching the weights of %s", spec.name)
    return pull(spec, store, _logged_progress(spec.name), revision=settings.model_revision)


def _logged_progress(name: str) -> Progress:
    """A line in the log for every tenth of the file."""
    tenths = 0

    def tell(done: int, total: int | None) -> None:
        nonlocal tenths
        if total and done * 10 // total > tenths:
            tenths = done * 10 // total
            log.info("%s: %d%% of %d MB", name, tenths * 10, total / 1e6)

    return tell


def _check_licence(spec: ModelSpec, settings: Settings) -> None:
    catalog.check_licence(spec, frozenset(settings.accept_license))


def _birefnet(spec: ModelSpec, locate: Callable[[], Located], settings: Settings) -> Predictor:
    with _pytorch(spec):
        from rmbg_service.models.birefnet.predictor import BiRefNetPredictor  # torch costs seconds

    return BiRefNetPredictor(
        spec,
        locate,
        device=settings.device,
        dtype=settings.dtype,
        compile=settings.compile,
        patch_order=settings.patch_order,
        cpu_threads=settings.cpu_threads,
    )


def _vitmatte(model: str, settings: Settings, store: Store) -> Predictor:
    """The matting network that is called `model`: a name, a hub id, a folder or a file."""
    path = Path(model) if Path(model).exists() else None
    spec = catalog.find(model) if path is None else store.identify(path)
    if spec is None and (path is not None or model.count("/") == 1):
        name = catalog.unlisted(model).name
        spec = replace(
            VITMATTE, name=name, source=model, licence="unknown", licence_url="", weights=None
        )
    if spec is None or spec.runtime != "vitmatte":
        raise ConfigurationError(
            f"RMBG_MATTING_MODEL={model} is not {VITMATTE.name}, or a file, a folder or a hub id of"
            " a ViTMatte"
        )
    with _pytorch(spec):
        from rmbg_service.models.birefnet.vitmatte import ViTMatte

    own = settings.model_copy(update={"model_revision": None})  # that is the other model's
    return ViTMatte(
        spec,
        partial(_locate, spec, path, own, store),
        device=settings.device,
        dtype=settings.dtype,
        cpu_threads=settings.cpu_threads,
    )


@contextmanager
def _pytorch(spec: ModelSpec) -> Iterator[None]:
    """Say what to install if the block's import fails."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"{spec.name} needs PyTorch and transformers, but {missing.name} is not installed: "
            "pip install torch transformers"
        ) from None
