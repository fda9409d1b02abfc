"""Linear layers whose weights lie as the matrix units of a CPU read them.

Given plain weights, oneDNN rearranges them in every call, and PyTorch fills the result with the
bias and applies an activation in passes of their own. `pack` rearranges once and lets oneDNN do all
three. It uses operators that `torch.compile` is built on and that PyTorch does not document: if a
release lacks them, or they compute something else, the layers stay as they are.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Literal["none", "gelu"]


class PackedLinear(nn.Module):
    """`activation(linear(x))` in inference on a CPU; stays in the dtype it was made in."""

    def __init__(self, linear: nn.Linear, activation: Activation, rows: int | None) -> None:
        super().__init__()
        self.activation = activation
        # Attributes rather than buffers: packed tensors cannot be moved, copied or saved.
        self.bias = None if linear.bias is None else linear.bias.detach()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), rows)

    def forward(self, x: Tensor) -> Tensor:
        """`(..., in)` to `(..., out)`."""
        out: Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self.weight, self.bias, self.activation, [], "none"
        )
        return out


class GeluLinear(nn.Linear):
    """A linear layer and a GELU."""

    def forward(self, x: Tensor) -> Tensor:
        """`(..., in)` to `(..., out)`."""
        return functional.gelu(super().forward(x))


def linear_gelu(linear: nn.Linear) -> GeluLinear:
    """`gelu(linear(x))` as one layer, with the weights of `linear`."""
    bias = linear.bias is not None
    made = GeluLinear(linear.in_features, linear.out_features, bias, device="meta")
    made.load_state_dict(linear.state_dict(), assign=True)
    return made


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this build of PyTorch packs linear layers of `dtype`, checked by its results."""
    linear = GeluLinear(64, 32, dtype=dtype)
    x = torch.linspace(-2, 2, 64 * 48, dtype=dtype).view(48, 64)
    with torch.inference_mode():
        expected = linear(x).float()
        try:
            found = PackedLinear(linear, "gelu", len(x))(x).float()
        except (AttributeError, RuntimeError):
            return False
    return bool((found - expected).abs().max() <= 4 * torch.finfo(dtype).eps * expected.abs().max())


@torch.inference_mode()
def pack(network: nn.Module, rows: int | None) -> None:
    """Pack the linear layers of `network`, which is on a CPU in its final dtype, for `rows`."""
    for module in list(network.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, nn.Linear):
                activation: Activation = "gelu" if isinstance(layer, GeluLinear) else "none"
                setattr(module, name, PackedLinear(layer, activation, rows))
