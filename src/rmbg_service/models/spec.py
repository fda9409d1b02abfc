"""What the service knows of a model: its weights, its licence and how to feed it."""

from dataclasses import dataclass
from typing import Literal

from rmbg_service.settings import PatchOrder

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Activation = Literal["none", "sigmoid"]


@dataclass(frozen=True)
class Weights:
    """A file of weights: what its bytes are, and the sources it can be fetched from.

    `hub` and `modelscope` are repository ids, in which `path` is the file; `release` is a URL.
    `sha256` and `md5` are hexadecimal; None if no digest is known with certainty.
    """

    path: str = "model.safetensors"
    sha256: str | None = None
    md5: str | None = None
    size_bytes: int | None = None
    hub: str | None = None
    revision: str = "main"
    modelscope: str | None = None
    release: str | None = None

    @property
    def filename(self) -> str:
        """The name of the file in a folder of its own."""
        return (self.release or self.path).rpartition("/")[2]

    @property
    def identified(self) -> bool:
        """Whether a digest of the file is known."""
        return self.sha256 is not None or self.md5 is not None


@dataclass(frozen=True)
class ModelSpec:
    """One model.

    `source` says where the weights come from: a hub id, a path, or words. `input_size` is
    `(height, width)`; a `dynamic` model also takes other multiples of 32, a `vitmatte` any smaller
    one. `mean` and `std` apply to RGB scaled to [0, 1]; `activation` turns the network's output
    into a matte. `patch_order` is explained in `birefnet/patch_order.py`; None if only the files
    can tell, and not `patch_order_proven` if only the date of the weights speaks for it.
    `bf16_measured` says that docs/models.md has figures of what bfloat16 changes, over many photos.
    """

    name: str
    runtime: Literal["onnx", "birefnet", "vitmatte"]
    source: str
    licence: str
    licence_url: str
    input_size: tuple[int, int]
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    activation: Activation = "none"
    good_for: str = ""
    gated: bool = False
    dynamic: bool = False
    patch_order: PatchOrder | None = None
    patch_order_proven: bool = False
    bf16_measured: bool = False
    weights: Weights | None = None

    @property
    def revision(self) -> str:
        """The branch, tag or commit on the hub."""
        return self.weights.revision if self.weights else "main"

    @property
    def non_commercial(self) -> bool:
        """Whether the licence forbids commercial use."""
        return "-NC" in self.licence.upper()
