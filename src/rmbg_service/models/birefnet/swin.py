"""Swin Transformer v1 as a feature extractor, written as in the paper (Liu et al., ICCV 2021).

This is the plain form: it defines the numbers. The form that serves requests is `fused_swin.py`.
Names of modules are those of the official checkpoints.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from rmbg_service.models.birefnet.configuration import SwinVariant


@lru_cache
@torch.inference_mode(False)  # the cached tensor serves training too
def relative_position_index(window: int) -> Tensor:
    """`(N, N)` int64, N = window^2: the row of the bias table for each pair of positions.

    Section 3.2 of the paper: the offset between two positions of a window lies in
    [-window + 1, window - 1] along each axis, so that the table has (2 * window - 1)^2 rows.
    """
    places = torch.arange(window, device="cpu")  # it is cached: no other default device
    y, x = torch.meshgrid(places, places, indexing="ij")
    dy = y.flatten()[:, None] - y.flatten()[None, :] + window - 1
    dx = x.flatten()[:, None] - x.flatten()[None, :] + window - 1
    return dy * (2 * window - 1) + dx


def partition(x: Tensor, window: int) -> Tensor:
    """Cut `(B, H, W, C)` into windows: `(B * number of windows, window^2, C)`."""
    b, h, w, c = x.shape
    x = x.view(b, h // window, window, w // window, window, c)
    return x.transpose(2, 3).reshape(-1, window * window, c)


def unpartition(windows: Tensor, window: int, h: int, w: int) -> Tensor:
    """Put windows back together: the inverse of `partition`, `(B, h, w, C)`."""
    c = windows.shape[-1]
    x = windows.view(-1, h // window, w // window, window, window, c)
    return x.transpose(2, 3).reshape(-1, h, w, c)


def shift_mask(h: int, w: int, window: int, shift: int, like: Tensor) -> Tensor:
    """`(number of windows, N, N)`: -inf between positions that the cyclic shift made neighbours.

    Figure 4 of the paper: after rolling by `shift`, the last window of a row or column holds two
    regions that are not neighbours in the image.
    """

    def bands(size: int) -> Tensor:
        band = torch.zeros(size, device=like.device)
        band[size - window :] = 1
        band[size - shift :] = 2
        return band

    region = 3 * bands(h)[:, None] + bands(w)[None, :]
    region = partition(region[None, :, :, None], window).squeeze(-1)
    apart = region[:, :, None] != region[:, None, :]
    return torch.zeros_like(apart, dtype=like.dtype).masked_fill_(apart, float("-inf"))


class WindowAttention(nn.Module):
    """Multi-head self-attention inside each window, with a relative position bias (equation 4)."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def bias(self) -> Tensor:
        """`(heads, N, N)`: what is added to the attention scores of each pair of positions."""
        table = self.relative_position_bias_table
        index = relative_position_index(self.window).to(table.device)
        return table[index].permute(2, 0, 1)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """`x` is `(B * windows, N, C)`; `mask` is `(windows, N, N)` for shifted windows."""
        n, tokens, c = x.shape
        q, k, v = self.qkv(x).view(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        bias = self.bias()[None]
        if mask is not None:
            bias = (bias + mask[:, None]).repeat(n // len(mask), 1, 1, 1)
        x = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        out: Tensor = self.proj(x.transpose(1, 2).reshape(n, tokens, c))
        return out


class Mlp(nn.Module):
    """Two linear layers with a GELU between, four times wider inside."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """`(..., C)` to `(..., C)`."""
        out: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out


class SwinBlock(nn.Module):
    """(Shifted) window attention and an MLP, each behind a LayerNorm and beside a residual."""

    def __init__(self, dim: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.window = window
        self.shift = shift
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, heads, window)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, H, W, C)` to the same."""
        _, h, w, _ = x.shape
        # Images need not be a multiple of the window: zeros are appended after the norm.
        y = functional.pad(self.norm1(x), (0, 0, 0, -w % self.window, 0, -h % self.window))
        _, padded_h, padded_w, _ = y.shape
        mask = None
        if self.shift:
            y = torch.roll(y, (-self.shift, -self.shift), (1, 2))
            mask = shift_mask(padded_h, padded_w, self.window, self.shift, y)
        y = self.attn(partition(y, self.window), mask)
        y = unpartition(y, self.window, padded_h, padded_w)
        if self.shift:
            y = torch.roll(y, (self.shift, self.shift), (1, 2))
        x = x + y[:, :h, :w]
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class PatchMerging(nn.Module):
    """Join 2 x 2 neighbours: half the height and width, twice the channels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, H, W, C)` to `(B, ceil(H / 2), ceil(W / 2), 2 C)`."""
        x = functional.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        even, odd = x[:, 0::2], x[:, 1::2]
        x = torch.cat((even[:, :, 0::2], odd[:, :, 0::2], even[:, :, 1::2], odd[:, :, 1::2]), -1)
        out: Tensor = self.reduction(self.norm(x))
        return out


class SwinStage(nn.Module):
    """Blocks at one resolution, every second one with shifted windows; then patch merging."""

    def __init__(self, dim: int, depth: int, heads: int, window: int, last: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            SwinBlock(dim, heads, window, shift=window // 2 if i % 2 else 0) for i in range(depth)
        )
        self.downsample = None if last else PatchMerging(dim)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, H, W, C)` to the same, before the merging."""
        for block in self.blocks:
            x = block(x)
        return x


class PatchEmbed(nn.Module):
    """The image in patches of 4 x 4 pixels, one token each."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, 4, stride=4)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, 3, H, W)` to `(B, H / 4, W / 4, C)`."""
        out: Tensor = self.norm(self.proj(x).permute(0, 2, 3, 1))
        return out


class SwinTransformer(nn.Module):
    """The backbone: an image in, four feature maps out, at strides 4, 8, 16 and 32."""

    def __init__(self, variant: SwinVariant) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(variant.dim)
        self.layers = nn.ModuleList(
            SwinStage(dim, depth, heads, variant.window, last=i == 3)
            for i, (dim, depth, heads) in enumerate(
                zip(variant.channels, variant.depths, variant.heads, strict=True)
            )
        )
        for i, dim in enumerate(variant.channels):
            self.add_module(f"norm{i}", nn.LayerNorm(dim))

    def forward(self, x: Tensor) -> list[Tensor]:
        """`(B, 3, H, W)` normalised RGB to four `(B, C_i, H_i, W_i)`."""
        x = self.patch_embed(x)
        features = []
        for i, stage in enumerate(self.layers):
            assert isinstance(stage, SwinStage)
            x = stage(x)
            features.append(self.get_submodule(f"norm{i}")(x).permute(0, 3, 1, 2))
            if stage.downsample is not None:
                x = stage.downsample(x)
        return features
