"""The models this service knows: where their weights come from, their licence, how to feed them."""

from dataclasses import dataclass
from typing import Literal

from rmbg_service.errors import ConfigurationError
from rmbg_service.settings import PatchOrder

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Activation = Literal["none", "sigmoid"]


@dataclass(frozen=True)
class ModelSpec:
    """One row of the catalogue.

    `source` is a hub id for the runtime `birefnet`, and `revision` the branch, tag or commit that
    is taken unless the settings name one. `input_size` is `(height, width)`; where `dynamic`, any
    multiples of 32 are taken as well. `mean` and `std` apply to RGB scaled to [0, 1]; `activation`
    is what still has to be applied to the network's output to make it a matte. `patch_order` is
    explained in `birefnet/patch_order.py`; None where only the files can tell.
    """

    name: str
    runtime: Literal["onnx", "birefnet"]
    source: str
    licence: str
    licence_url: str
    input_size: tuple[int, int]
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    activation: Activation = "none"
    good_for: str = ""
    revision: str = "main"
    gated: bool = False
    dynamic: bool = False
    patch_order: PatchOrder | None = None

    @property
    def non_commercial(self) -> bool:
        """Whether the licence forbids commercial use."""
        return "-NC" in self.licence.upper()


def _birefnet(
    name: str,
    good_for: str,
    input_size: tuple[int, int] = (1024, 1024),
    dynamic: bool = False,
    revision: str = "main",
) -> ModelSpec:
    return ModelSpec(
        name=name,
        runtime="birefnet",
        source=f"ZhengPeng7/{name}",
        revision=revision,
        licence="MIT",
        licence_url="https://github.com/ZhengPeng7/BiRefNet/blob/main/LICENSE",
        input_size=input_size,
        activation="sigmoid",
        good_for=good_for,
        dynamic=dynamic,
        patch_order="c_hg_wg",
    )


EMBEDDED = ModelSpec(
    name="u2netp",
    runtime="onnx",
    source="embedded (xuebinqin/U-2-Net)",
    licence="Apache-2.0",
    licence_url="https://github.com/xuebinqin/U-2-Net/blob/master/LICENSE",
    input_size=(320, 320),
    good_for="trying the service out, CPUs; coarse edges",
)

RMBG_2_0 = ModelSpec(
    name="RMBG-2.0",
    runtime="birefnet",
    source="briaai/RMBG-2.0",
    revision="5df4c9c76d8170882c34f6986e848ee07fd0ba43",
    licence="CC-BY-NC-4.0",
    licence_url="https://creativecommons.org/licenses/by-nc/4.0/",
    input_size=(1024, 1024),
    activation="sigmoid",
    good_for="general images: people, products, animals, graphics",
    gated=True,
    patch_order="wg_hg_c",
)

BIREFNET = _birefnet(
    "BiRefNet",
    "general images, commercial use",
    revision="e2bf8e4460fc8fa32bba5ea4d94b3233d367b0e4",
)

CATALOG: tuple[ModelSpec, ...] = (
    EMBEDDED,
    RMBG_2_0,
    BIREFNET,
    _birefnet("BiRefNet_lite", "general images on a small GPU or a CPU"),
    _birefnet("BiRefNet_HR", "large images with fine structure", (2048, 2048), dynamic=True),
    _birefnet("BiRefNet_HR-matting", "hair and fur in large images", (2048, 2048), dynamic=True),
    _birefnet("BiRefNet-matting", "hair, fur and other soft edges"),
    _birefnet("BiRefNet-portrait", "people"),
    _birefnet("BiRefNet_dynamic", "images far from square; 256 to 2304 pixels", dynamic=True),
    _birefnet("BiRefNet_lite-2K", "wide images, 2560 x 1440, on a small GPU", (1440, 2560)),
)

FILES: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            name="u2net",
            runtime="onnx",
            source="u2net.onnx (xuebinqin/U-2-Net)",
            licence="Apache-2.0",
            licence_url="https://github.com/xuebinqin/U-2-Net/blob/master/LICENSE",
            input_size=(320, 320),
            good_for="general images; coarse edges",
        ),
        ModelSpec(
            name="isnet-general-use",
            runtime="onnx",
            source="isnet-general-use.onnx (xuebinqin/DIS)",
            licence="Apache-2.0",
            licence_url="https://github.com/xuebinqin/DIS/blob/main/LICENSE.md",
            input_size=(1024, 1024),
            mean=(0.5, 0.5, 0.5),
            std=(1.0, 1.0, 1.0),
            good_for="general images, products",
        ),
    )
}
"""Well-known ONNX files by their stem: what an `.onnx` path is fed when no setting says it."""


def find(name: str) -> ModelSpec | None:
    """The row with this short name or hub id, in any case; None when there is none."""
    wanted = name.casefold()
    for spec in CATALOG:
        if wanted in (spec.name.casefold(), spec.source.casefold()):
            return spec
    return None


def unlisted(source: str) -> ModelSpec:
    """A row for a BiRefNet that the catalogue does not know: a folder or another repository."""
    return ModelSpec(
        name=source.rstrip("/").rpartition("/")[2] or source,
        runtime="birefnet",
        source=source,
        licence="unknown",
        licence_url="",
        input_size=(1024, 1024),
        activation="sigmoid",
        good_for="what it was trained for",
    )


def licence_of(name: str) -> str:
    """The SPDX licence of the weights called `name`; `unknown` for a file of the user's own."""
    spec = find(name) or FILES.get(name)
    return spec.licence if spec else "unknown"


def check_licence(spec: ModelSpec, accepted: frozenset[str]) -> None:
    """Refuse a non-commercial model whose licence is not among the `accepted` identifiers."""
    if spec.non_commercial and spec.licence.casefold() not in {
        name.casefold() for name in accepted
    }:
        raise ConfigurationError(
            f"{spec.name} is licensed under {spec.licence} (no commercial use, {spec.licence_url}):"
            f" set RMBG_ACCEPT_LICENSE={spec.licence.lower()} to accept that"
        )
