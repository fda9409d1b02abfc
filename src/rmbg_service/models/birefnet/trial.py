"""The trial of bfloat16 with the weights of a network in PyTorch.

Random weights that keep the signal's size lose 5e-4 on average, the chaotic ones of the parity
cases thirty times as much.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from rmbg_service.models.trial import Difference

SIDE = 384
"""Of the image: a seventh of the work of 1024, and still 12 x 12 pixels in the last stage."""


@torch.inference_mode()
def rounding_error(network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> Difference:
    """What bfloat16 changes in a matte of `network`, which this converts from float32.

    `mean` and `std` are those of the model's normalisation, of channels in [0, 1].
    """
    x = (trial_image() - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    exact = network(x[None]).sigmoid()
    # One network at a time in memory: the float32 weights go as the others come.
    rounded = network.bfloat16()(x[None].bfloat16()).float().sigmoid()
    return Difference.of(exact.numpy(), rounded.numpy())


def trial_image() -> Tensor:
    """`(3, SIDE, SIDE)` in [0, 1]: a textured subject with hair before a blurred background."""
    random = torch.Generator().manual_seed(0)

    def noise(cells: int) -> Tensor:
        coarse = torch.rand(1, 3, cells, cells, generator=random)
        return functional.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear")[0]

    y, x = torch.meshgrid(*2 * [torch.linspace(-1, 1, SIDE)], indexing="ij")
    angle, radius = torch.atan2(x, -(y + 0.35)), torch.hypot(x, y + 0.35)
    head = radius < 0.3
    hair = (radius < 0.42) & (y < -0.35) & (torch.sin(90 * angle) > 0.2)
    body = (x / 0.55) ** 2 + ((y - 0.75) / 0.75) ** 2 < 1
    image = 0.3 + 0.5 * noise(5)
    for region, colour in (
        (hair, (0.2, 0.12, 0.08)),
        (body, (0.1, 0.2, 0.5)),
        (head, (0.9, 0.7, 0.6)),
    ):
        texture = torch.tensor(colour).view(3, 1, 1) + 0.2 * (noise(96) - 0.5)
        image = torch.where(region, texture, image)
    return image.clamp(0, 1)
