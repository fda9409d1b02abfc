"""The backbone as it serves requests: the numbers of `swin.py` with less memory and work.

Padding, rolling and cutting into windows is one permutation of tokens; it and its inverse are index
lists that depend on the size only (`WindowChunk`). Windows are ordered so that those with the same
shift mask follow one another: there are only four different masks, because only the last row and
the last column of windows hold pixels that were not neighbours. The linear layers run on real
tokens only, not on padding.

On a CPU a core takes some windows at a time through all layers of a block: what passes from one
layer to the next then stays in its cache, and no layer's output is held for the whole image.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from rmbg_service.models.birefnet.attention import window_attention
from rmbg_service.models.birefnet.packing import ActiveLinear, add_linear
from rmbg_service.models.birefnet.parallel import for_each
from rmbg_service.models.birefnet.swin import SwinBlock, SwinStage, SwinTransformer

CPU_CHUNK_TOKENS = 2048
"""Tokens of a chunk on a CPU, about: the activations of a layer should fit the cache of a core."""


class WindowChunk(NamedTuple):
    """Some windows of an h x w feature map, and where their tokens are.

    `tokens` `(n)`: the real tokens of these windows, in the order of the windows; None for all in
    their own order. `gather` `(windows * N)`: which of them is at each place, n for padding; None
    if they are in place already. `scatter` `(n)`: the place of each. `groups`: how many of the
    windows have each mask (inner, last column, last row, corner). `group` `(windows)`: which of
    these masks a window has.
    """

    tokens: Tensor | None
    gather: Tensor | None
    scatter: Tensor | None
    groups: list[int]
    group: Tensor

    def to(self, device: torch.device) -> "WindowChunk":
        """The same with its tensors on `device`."""

        def moved(index: Tensor | None) -> Tensor | None:
            return None if index is None else index.to(device)

        return WindowChunk(
            moved(self.tokens),
            moved(self.gather),
            moved(self.scatter),
            self.groups,
            self.group.to(device),
        )


WindowPlan = list[WindowChunk]


def window_plan(
    h: int, w: int, window: int, shift: int, device: torch.device, chunk_tokens: int | None = None
) -> WindowPlan:
    """The windows of one size in chunks of about `chunk_tokens`, or all in one.

    Chunks are of about equal size, and equally many for each thread. `shift` as in `SwinBlock`.
    """
    down, across = -(-h // window), -(-w // window)
    token = torch.full((down * window, across * window), h * w)
    token[:h, :w] = torch.arange(h * w).view(h, w)
    token = token.roll((-shift, -shift), (0, 1))
    windows = token.view(down, window, across, window).transpose(1, 2).reshape(-1, window * window)
    group = torch.zeros(len(windows), dtype=torch.int64)
    if shift:
        last_row = torch.arange(down)[:, None] == down - 1
        last_column = torch.arange(across)[None, :] == across - 1
        group, order = (2 * last_row + 1 * last_column).flatten().sort(stable=True)
        windows = windows[order]
    if chunk_tokens is None:
        return [_whole(windows, group, h * w).to(device)]
    threads = torch.get_num_threads()
    rounds = math.ceil(windows.numel() / (chunk_tokens * threads))
    chunks = min(len(windows), rounds * threads)
    parts = zip(windows.tensor_split(chunks), group.tensor_split(chunks), strict=True)
    return [_part(part, part_group, h * w).to(device) for part, part_group in parts]


def _whole(windows: Tensor, group: Tensor, count: int) -> WindowChunk:
    """All `windows` `(windows, N)` of `count` tokens."""
    gather = windows.flatten()
    scatter = torch.empty(count + 1, dtype=torch.int64)
    scatter[gather] = torch.arange(len(gather))
    return WindowChunk(None, gather, scatter[:-1], group.bincount(minlength=4).tolist(), group)


def _part(windows: Tensor, group: Tensor, padding: int) -> WindowChunk:
    """Some windows, in which `padding` stands for no token."""
    real = windows.flatten() != padding
    tokens = windows.flatten()[real]
    gather = scatter = None
    if len(tokens) < len(real):
        gather = torch.full((len(real),), len(tokens))
        gather[real] = torch.arange(len(tokens))
        scatter = real.nonzero()[:, 0]
    return WindowChunk(tokens, gather, scatter, group.bincount(minlength=4).tolist(), group)


def chunk_tokens_of(device: torch.device) -> int | None:
    """How many tokens a chunk has on `device`; None for all."""
    return CPU_CHUNK_TOKENS if device.type == "cpu" else None


def window_masks(window: int, shift: int) -> Tensor:
    """`(groups, 1, N, N)`: 0 and -inf for each group of a `WindowChunk`."""
    n = window * window
    if not shift:
        return torch.zeros(1, 1, n, n)
    moved = torch.arange(window) >= window - shift
    row, column = moved.repeat_interleave(window), moved.repeat(window)
    row_apart = row[:, None] != row[None, :]
    column_apart = column[:, None] != column[None, :]
    apart = torch.stack(
        (torch.zeros_like(row_apart), column_apart, row_apart, row_apart | column_apart)
    )
    return torch.zeros(4, 1, n, n).masked_fill_(apart[:, None], float("-inf"))


class FusedSwinBlock(nn.Module):
    """`SwinBlock` on tokens `(B, H * W, C)`, which it changes in place."""

    def __init__(self, block: SwinBlock) -> None:
        super().__init__()
        self.norm1, self.qkv, self.proj = block.norm1, block.attn.qkv, block.attn.proj
        fc1, self.fc2 = block.mlp.fc1, block.mlp.fc2
        self.norm2, self.fc1 = block.norm2, ActiveLinear.of(fc1.weight, fc1.bias, "gelu")
        self.heads = block.attn.heads
        bias = block.attn.bias()
        self.bias_limit = math.inf if bias.is_meta else float(bias.abs().max())
        masks = window_masks(block.window, block.shift).to(bias)
        self.bias = nn.Parameter((bias + masks).contiguous(), requires_grad=False)

    def forward(self, x: Tensor, plan: WindowPlan) -> Tensor:
        """`(B, H * W, C)` to the same."""

        def change(chunk: WindowChunk) -> None:
            part = x if chunk.tokens is None else x.index_select(1, chunk.tokens)
            part = add_linear(part, self.proj, self.attend(self.norm1(part), chunk))
            part = add_linear(part, self.fc2, self.fc1(self.norm2(part)))
            if chunk.tokens is not None:
                x.index_copy_(1, chunk.tokens, part)

        for_each(plan, change, x.device)
        return x

    def attend(self, x: Tensor, chunk: WindowChunk) -> Tensor:
        """Window attention up to the output layer."""
        b, _, c = x.shape
        if chunk.gather is None:
            qkv = self.qkv(x)
        else:
            # A zero token stands for all padding: zeros after the norm, so its qkv is the bias.
            qkv = self.qkv(functional.pad(x, (0, 0, 0, 1))).index_select(1, chunk.gather)
        n = self.bias.shape[-1]
        qkv = qkv.view(b, -1, n, 3, self.heads, c // self.heads)
        out = []
        for group, bias in zip(torch.split(qkv, chunk.groups, 1), self.bias, strict=False):
            if group.shape[1]:
                y = window_attention(group.flatten(0, 1), bias, self.bias_limit)
                out.append(y.view(b, -1, c))
        y = out[0] if len(out) == 1 else torch.cat(out, 1)
        return y if chunk.scatter is None else y.index_select(1, chunk.scatter)


class FusedSwin(nn.Module):
    """`SwinTransformer`."""

    def __init__(self, swin: SwinTransformer, window: int) -> None:
        super().__init__()
        self.window = window
        self.embed = swin.patch_embed
        self.stages = nn.ModuleList()
        self.norms = nn.ModuleList()
        self.merges = nn.ModuleList()
        for i, stage in enumerate(swin.layers):
            assert isinstance(stage, SwinStage)
            blocks = nn.ModuleList()
            for block in stage.blocks:
                assert isinstance(block, SwinBlock)
                blocks.append(FusedSwinBlock(block))
            self.stages.append(blocks)
            self.norms.append(swin.get_submodule(f"norm{i}"))
            if stage.downsample is not None:
                self.merges.append(stage.downsample)

    def plan(self, h: int, w: int, device: torch.device) -> list[tuple[WindowPlan, WindowPlan]]:
        """For an image of `h` x `w`: the plans without and with shift of each stage."""
        chunk_tokens = chunk_tokens_of(device)
        plans = []
        for size in self.sizes(h, w):
            whole, shifted = (
                window_plan(*size, self.window, shift, device, chunk_tokens)
                for shift in (0, self.window // 2)
            )
            plans.append((whole, shifted))
        return plans

    def sizes(self, h: int, w: int) -> list[tuple[int, int]]:
        """`(h, w)` of each stage's features for an image of `h` x `w`."""
        sizes = [(h // 4, w // 4)]
        for _ in self.merges:
            h, w = sizes[-1]
            sizes.append(((h + 1) // 2, (w + 1) // 2))
        return sizes

    def forward(self, x: Tensor, plans: list[tuple[WindowPlan, WindowPlan]]) -> list[Tensor]:
        """`(B, 3, H, W)` normalised RGB to four `(B, C_i, H_i, W_i)`, channels-last."""
        x = self.embed(x)
        features = []
        for i, stage in enumerate(self.stages):
            assert isinstance(stage, nn.ModuleList)
            b, h, w, c = x.shape
            tokens = x.reshape(b, h * w, c)
            for j, block in enumerate(stage):
                tokens = block(tokens, plans[i][j % 2])
            x = tokens.view(b, h, w, c)
            features.append(self.norms[i](x).permute(0, 3, 1, 2))
            if i < len(self.merges):
                x = self.merges[i](x)
        return features
