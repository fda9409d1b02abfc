"""The models this service knows: where their weights come from, their licence, how to feed them."""

from dataclasses import dataclass
from typing import Literal

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Activation = Literal["none", "sigmoid"]


@dataclass(frozen=True)
class ModelSpec:
    """One row of the catalogue.

    `input_size` is `(height, width)`; `mean` and `std` apply to RGB scaled to [0, 1]; `activation`
    is what still has to be applied to the network's output to make it a matte.
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


EMBEDDED = ModelSpec(
    name="u2netp",
    runtime="onnx",
    source="embedded (xuebinqin/U-2-Net)",
    licence="Apache-2.0",
    licence_url="https://github.com/xuebinqin/U-2-Net/blob/master/LICENSE",
    input_size=(320, 320),
    good_for="trying the service out, CPUs; coarse edges",
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
            good_for="general pictures; coarse edges",
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
            good_for="general pictures, products",
        ),
    )
}
"""Well-known ONNX files by their stem: what an `.onnx` path is fed when no setting says it."""


def licence_of(name: str) -> str:
    """The SPDX licence of the weights called `name`; `unknown` for a file of the user's own."""
    spec = EMBEDDED if name == EMBEDDED.name else FILES.get(name)
    return spec.licence if spec else "unknown"
