"""Where weights lie on this disk: this service's own folder, the hub's cache, other programs."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rmbg_service.errors import ConfigurationError
from rmbg_service.models import catalog, hub
from rmbg_service.models.digests import digests, identify
from rmbg_service.models.spec import ModelSpec
from rmbg_service.settings import Settings
from rmbg_service.system.files import home_folder, is_file, is_folder

log = logging.getLogger(__name__)

EMBEDDED_PATH = Path(__file__).parent / "weights" / "u2netp.onnx"


@dataclass(frozen=True)
class Store:
    """The weights on this disk; `folder` holds those that did not come through the hub."""

    folder: Path

    @classmethod
    def of(cls, settings: Settings) -> "Store":
        """The store that the settings name."""
        if settings.model_dir is not None:
            return cls(settings.model_dir)
        cache = os.environ.get("XDG_CACHE_HOME") or home_folder() / ".cache"
        return cls(Path(cache) / "rmbg-service" / "models")

    @property
    def memory(self) -> Path:
        """The file that remembers digests."""
        return self.folder / "digests.json"

    def path(self, spec: ModelSpec) -> Path:
        """Where the weights of `spec` lie in this service's own folder."""
        assert spec.weights is not None, "the embedded model is part of the package"
        return self.folder / spec.name / spec.weights.filename

    def identify(self, path: Path) -> ModelSpec | None:
        """The catalogue's model with the bytes of `path`; None if it is unknown."""
        return identify(path, self.memory)

    def find(self, spec: ModelSpec, revision: str | None = None) -> Path | None:
        """The weights of `spec` on this disk: a file or folder; None if they are not here."""
        if spec is catalog.EMBEDDED:
            return EMBEDDED_PATH
        if spec.weights is None:
            return hub.cached(spec.source, revision or spec.revision)
        if revision in (None, spec.revision) and is_file(self.path(spec)):
            return self.path(spec)
        if spec.weights.hub is not None:
            return hub.cached(spec.weights.hub, revision or spec.revision)
        return None

    def elsewhere(self) -> Iterator[tuple[ModelSpec, Path]]:
        """Known weights in the folders of rembg and ComfyUI, by their bytes."""
        sizes = {spec.weights.size_bytes for spec in catalog.CATALOG if spec.weights}
        names = {spec.weights.filename for spec in catalog.CATALOG if spec.weights}
        for path in _files_of_others():
            if path.stat().st_size in sizes or path.name in names:
                try:
                    spec = catalog.find_digest(*digests(path, self.memory))
                except ConfigurationError as error:  # no reason not to fetch them
                    log.info("%s", error)
                    continue
                if spec is not None:
                    yield spec, path


def _files_of_others() -> Iterator[Path]:
    u2net = Path(os.environ.get("U2NET_HOME") or home_folder() / ".u2net")
    comfyui = Path(os.environ.get("COMFYUI_PATH") or home_folder() / "ComfyUI") / "models"
    for folder, pattern in (
        (u2net, "*.onnx"),
        (comfyui / "background_removal", "*.safetensors"),
        (comfyui / "RMBG", "*/*.safetensors"),
        (comfyui / "BiRefNet", "**/*.safetensors"),
    ):
        if is_folder(folder):
            yield from filter(is_file, sorted(folder.glob(pattern)))
