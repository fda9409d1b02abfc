"""Which patch order a network was trained with, measured on its weights.

The convolutions `decoder.ipt_blk{5,4,3,2}.conv1` read tiles of the input image as channels. Their
gradients are sums of training tiles, and in natural images neighbouring tiles and the three colours
of one tile are correlated. So training leaves correlations between the weights of neighbouring
channels, positive or negative, and they are strongest between channels that really were neighbours.

The score of an order is the sum of three squared correlations: between colours, rows and columns
that follow one another in this order. They are squared because a network that contrasts colours has
negative correlations, which a plain sum would take for evidence of the other order. The evidence is
the difference of the two scores. Its standard error is a jackknife over the output channels (Efron,
"The jackknife, the bootstrap and other resampling plans", 1982), and the blocks are combined by
Stouffer's method.

What is measured is the order of most of the training. A network that was trained in one order and
then fine-tuned in the other keeps the traces of the first: only the mattes of both orders, which
`rmbg-service doctor` compares, tell which one it needs.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rmbg_service.errors import ConfigurationError
from rmbg_service.settings import PatchOrder

GRIDS = {5: 32, 4: 16, 3: 8, 2: 4}
"""Tiles along each side of the image that `ipt_blk{n}` takes."""

STRONG_Z = 6.0
"""From this |z| on, the weights decide. Random weights stay below 2."""

CONTRARY_Z = 3.0
"""One block that speaks for the other order with this |z| makes the evidence weak."""


@dataclass(frozen=True)
class PatchEvidence:
    """Z-scores: positive for `c_hg_wg`, negative for `wg_hg_c`. `blocks` maps block to z-score."""

    blocks: Mapping[int, float]

    @property
    def z(self) -> float:
        """The z-score of all blocks together."""
        return sum(self.blocks.values()) / math.sqrt(len(self.blocks))

    @property
    def order(self) -> PatchOrder | None:
        """The order that the weights show; None where the evidence is weak."""
        sign = 1 if self.z > 0 else -1
        contrary = min(sign * z for z in self.blocks.values()) <= -CONTRARY_Z
        if abs(self.z) < STRONG_Z or contrary:
            return None
        return "c_hg_wg" if sign > 0 else "wg_hg_c"


def conv_key(block: int) -> str:
    """The entry of a state dict that holds the weight of `ipt_blk{block}.conv1`."""
    return f"decoder.ipt_blk{block}.conv1.weight"


def measure_evidence(weights: Mapping[str, Tensor]) -> PatchEvidence:
    """What the four convolutions in `weights` show; takes milliseconds.

    Raises `ConfigurationError` for tensors that cannot be their weights.
    """
    return PatchEvidence({n: _z(_weight(weights, n), grid) for n, grid in GRIDS.items()})


def _weight(weights: Mapping[str, Tensor], block: int) -> Tensor:
    weight, channels = weights[conv_key(block)], 3 * GRIDS[block] ** 2
    shape = tuple(weight.shape)
    if len(shape) != 4 or shape[1] != channels or 0 in shape or not weight.is_floating_point():
        raise ConfigurationError(
            f"{conv_key(block)} is {weight.dtype} {shape}, expected floats of the shape"
            f" (outputs, {channels}, height, width)"
        )
    return weight.float()


def _z(weight: Tensor, grid: int) -> float:
    """Score of `c_hg_wg` minus score of `wg_hg_c`, in standard errors; `(O, 3 grid^2, k, k)`."""
    taps = weight.permute(0, 2, 3, 1).contiguous()
    *outer, _ = taps.shape
    new = taps.view(*outer, 3, grid, grid)  # output, kernel, colour, row, column
    old = taps.view(*outer, grid, grid, 3).permute(0, 1, 2, 5, 4, 3)
    products = torch.stack((_neighbour_products(new), _neighbour_products(old)), 1).double()
    energy = weight.square().mean((1, 2, 3)).double()
    left_out = _difference(products.sum(0) - products, energy.sum() - energy)
    n = len(weight)
    error = ((n - 1) / n * (left_out - left_out.mean()).square().sum()).sqrt()
    z = float(_difference(products.sum(0), energy.sum()) / error)
    return z if math.isfinite(z) else 0.0


def _neighbour_products(tiles: Tensor) -> Tensor:
    """`(O, k, k, 3, grid, grid)` to `(O, 3)`: mean products of neighbours along the last axes."""
    means = []
    for axis in (3, 4, 5):
        length = tiles.shape[axis] - 1
        pairs = tiles.narrow(axis, 1, length) * tiles.narrow(axis, 0, length)
        means.append(pairs.flatten(1).mean(1))
    return torch.stack(means, 1)


def _difference(products: Tensor, energy: Tensor) -> Tensor:
    """Scores of the first order minus the second; `(..., 2, 3)` and `(...)` to `(...)`."""
    scores = (products / energy[..., None, None]).square().sum(-1)
    return scores[..., 0] - scores[..., 1]
