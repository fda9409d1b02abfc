"""Export BiRefNet with random weights to ONNX, for `bench/models.py --onnx`.

    pip install onnx onnxscript
    python -m bench.export_onnx swin_v1_t --deformable gather swin_t-gather.onnx

ONNX has had a `DeformConv` operator since opset 19, but ONNX Runtime had no kernel for it when the
public exports of BiRefNet were made, so they read the moved taps by gathers. The deformable
convolution becomes one of these:

    native       one DeformConv
    grid_sample  GridSample for each row of taps, then Conv, as the plain network computes it
    gather       Gather for each of the four pixels around a tap, then Conv, as in public exports
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.models import random_network
from rmbg_service.models.birefnet import deform
from rmbg_service.models.birefnet.modeling import BiRefNet

OPSET = 20

DeformConv2d = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def native(x: Tensor, offset: Tensor, modulation: Tensor, weight: Tensor) -> Tensor:
    """`deform.deform_conv2d` as one node."""
    b, _, h, w = x.shape
    d, _, k, _ = weight.shape
    bias = torch.zeros(d)
    out: Tensor = torch.onnx.ops.symbolic(
        "DeformConv",
        (x, weight, offset, bias, modulation),
        {"kernel_shape": [k, k], "pads": [k // 2] * 4},
        dtype=x.dtype,
        shape=(b, d, h, w),
        version=19,
    )
    return out


def gather(x: Tensor, offset: Tensor, modulation: Tensor, weight: Tensor) -> Tensor:
    """`deform.deform_conv2d` by gathers from the image in a frame of zeros, batches of one."""
    _, c, h, w = x.shape
    k = weight.shape[-1]
    reach = torch.arange(k, dtype=x.dtype) - k // 2
    move = offset.view(k, k, 2, h, w)
    y = move[:, :, 0] + reach[:, None, None, None] + torch.arange(h, dtype=x.dtype)[:, None]
    z = move[:, :, 1] + reach[None, :, None, None] + torch.arange(w, dtype=x.dtype)
    y, z = y.clamp(-1, h), z.clamp(-1, w)
    top, left = y.floor(), z.floor()
    down, across = y - top, z - left
    first = ((top + 1) * (w + 3) + left + 1).to(torch.int64).flatten()
    pixels = functional.pad(x[0], (1, 2, 1, 2)).flatten(1)
    read = torch.zeros(())
    for step, share in (
        (0, (1 - down) * (1 - across)),
        (1, (1 - down) * across),
        (w + 3, down * (1 - across)),
        (w + 4, down * across),
    ):
        read = read + pixels.index_select(1, first + step) * share.flatten()
    columns = read.view(1, c, k * k, h, w) * modulation.view(1, 1, k * k, h, w)
    return functional.conv2d(columns.view(1, c * k * k, h, w), weight.reshape(-1, c * k * k, 1, 1))


FORMS: dict[str, DeformConv2d] = {
    "native": native,
    "grid_sample": deform.deform_conv2d,
    "gather": gather,
}


class Logits(nn.Module):
    """The plain network, a tensor in and a tensor out."""

    def __init__(self, model: BiRefNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """`(1, 3, H, W)` to `(1, 1, H, W)`."""
        return self.model.logits(image)


def export(backbone: str, size: int, form: str, path: Path) -> None:
    """Write the network that `bench.models` measures, in float32 and for one image of one size."""
    deform.deform_conv2d = FORMS[form]  # type: ignore[assignment]
    image = torch.zeros(1, 3, size, size)
    torch.onnx.export(
        Logits(random_network(backbone)).eval(),
        (image,),
        path,
        input_names=["image"],
        output_names=["logits"],
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("backbone")
    parser.add_argument("path", type=Path)
    parser.add_argument("--deformable", choices=FORMS, default="gather")
    parser.add_argument("--size", type=int, default=1024)
    args = parser.parse_args()
    export(args.backbone, args.size, args.deformable, args.path)


if __name__ == "__main__":
    main()
