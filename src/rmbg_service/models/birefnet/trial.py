"""Whether a network may compute in bfloat16, measured with its own weights.

How much rounding moves a matte depends on the weights: random ones that keep the signal's size lose
5e-4 on average, the chaotic ones of the parity cases thirty times as much. So a small image is
predicted in both formats and the mattes are compared.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 384
"""Of the image: a seventh of the work of 1024, and still 12 x 12 pixels in the last stage."""

MAX_MEAN = 1 / 510
"""The mean difference may be half a level of an 8-bit alpha."""

MAX_TAIL = 0.05
"""One pixel in a thousand may differ by more: at an edge, a matte goes from 0 to 1 in a few."""


class Difference(NamedTuple):
    """Absolute differences of two mattes: their mean and 99.9th percentile."""

    mean: float
    tail: float

    @property
    def small(self) -> bool:
        """Whether it may be ignored; False for NaN."""
        return self.mean <= MAX_MEAN and self.tail <= MAX_TAIL

    def __str__(self) -> str:
        """As the log and the command line show it."""
        return f"{self.mean:.1e} on average, {self.tail:.1e} at the 99.9th percentile"


@torch.inference_mode()
def rounding_error(network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> Difference:
    """What bfloat16 changes in a matte of `network`, which this converts from float32.

    `mean` and `std` are those of the model's normalisation, of channels in [0, 1].
    """
    x = (trial_image() - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    exact = network(x[None]).sigmoid()
    # One network at a time in memory: the float32 weights go as the others come.
    rounded = network.bfloat16()(x[None].bfloat16()).float().sigmoid()
    differences = (exact - rounded).abs().double().flatten()
    if not differences.isfinite().all():
        return Difference(math.nan, math.nan)
    return Difference(float(differences.mean()), float(np.quantile(differences.numpy(), 0.999)))


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
