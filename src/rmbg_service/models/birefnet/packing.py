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

Activation = Literal["none", "relu", "gelu"]


class ActiveLinear(nn.Linear):
    """A linear layer and an activation."""

    activation: Activation = "none"

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None, activation: Activation) -> "ActiveLinear":
        """`activation(x @ weight.T + bias)`; it shares `weight` `(out, in)` and `bias` `(out)`."""
        out, channels = weight.shape
        made = cls(channels, out, bias is not None, device="meta", dtype=weight.dtype)
        made.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
        if bias is not None:
            made.bias = nn.Parameter(bias, requires_grad=False)
        made.activation = activation
        return made

    def forward(self, x: Tensor) -> Tensor:
        """`(..., in)` to `(..., out)`."""
        out = super().forward(x)
        if self.activation == "relu":
            return out.relu_()
        return functional.gelu(out) if self.activation == "gelu" else out


class PackedLinear(nn.Module):
    """`activation(linear(x))` in inference on a CPU; stays in the dtype it was made in."""

    def __init__(self, linear: nn.Linear, rows: int | None) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.activation = linear.activation if isinstance(linear, ActiveLinear) else "none"
        # Attributes rather than buffers: packed tensors cannot be moved, copied or saved.
        self.bias = None if linear.bias is None else linear.bias.detach()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), rows)

    def forward(self, x: Tensor) -> Tensor:
        """`(..., in)` to `(..., out)`."""
        out: Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self.weight, self.bias, self.activation, [], "none"
        )
        return out

    def added(self, x: Tensor, other: Tensor) -> Tensor:
        """`other + linear(x)`, without a pass of its own for the sum."""
        out: Tensor = torch.ops.mkldnn._linear_pointwise.binary(
            x, other, self.weight, self.bias, "add"
        )
        return out


def add_linear(other: Tensor, layer: nn.Module, x: Tensor) -> Tensor:
    """`other + layer(x)`; it may change `other`, which is no longer needed."""
    if isinstance(layer, PackedLinear):
        return layer.added(x, other)
    return other.add_(layer(x))


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this build of PyTorch packs linear layers of `dtype`, checked by its results."""
    plain = nn.Linear(64, 32, dtype=dtype)
    active = [ActiveLinear.of(plain.weight, plain.bias, name) for name in ("relu", "gelu")]
    x = torch.linspace(-2, 2, 64 * 48, dtype=dtype).view(48, 64)
    other = torch.linspace(-1, 1, 32 * 48, dtype=dtype).view(48, 32)
    with torch.inference_mode():
        expected = torch.stack([other + plain(x), *(layer(x) for layer in active)]).float()
        try:
            packed = [PackedLinear(layer, len(x)) for layer in (plain, *active)]
            sums = packed[0].added(x, other)
            found = torch.stack([sums, *(layer(x) for layer in packed[1:])]).float()
        except (AttributeError, RuntimeError):
            return False
    return bool((found - expected).abs().max() <= 4 * torch.finfo(dtype).eps * expected.abs().max())


@torch.inference_mode()
def pack(network: nn.Module, rows: int | None) -> None:
    """Pack the linear layers of `network`, which is on a CPU in its final dtype, for `rows`."""
    for module in list(network.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, nn.Linear):
                setattr(module, name, PackedLinear(layer, rows))
