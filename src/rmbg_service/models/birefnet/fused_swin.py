"""The backbone as it serves requests: the numbers of `swin.py` with less memory and work.

Padding, rolling and cutting into windows is one permutation of tokens; it and its inverse are index
lists that depend on the size only (`WindowPlan`). Windows are ordered so that those with the same
shift mask follow one another: there are only four different masks, because only the last row and
the last column of windows hold pixels that were not neighbours. The qkv and output layers then run
on real tokens only, not on padding.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from rmbg_service.models.birefnet.swin import SwinBlock, SwinStage, SwinTransformer

CHUNK_TOKENS = 4096
"""Tokens at a time through an MLP, which is four times wider inside."""


class WindowPlan(NamedTuple):
    """Where the tokens of an h x w feature map stand in its windows.

    `gather` `(windows * N)`: the token at each place, `h * w` for padding. `scatter` `(h * w)`: the
    place of each token. `groups`: how many windows have each mask (inner, last column, last row,
    corner); one group where nothing is shifted. `group` `(windows)`: which of them a window is in.
    """

    gather: Tensor
    scatter: Tensor
    groups: list[int]
    group: Tensor


def window_plan(h: int, w: int, window: int, shift: int, device: torch.device) -> WindowPlan:
    """The plan for one size; `shift` as in `SwinBlock`."""
    down, across = -(-h // window), -(-w // window)
    token = torch.full((down * window, across * window), h * w)
    token[:h, :w] = torch.arange(h * w).view(h, w)
    token = token.roll((-shift, -shift), (0, 1))
    windows = token.view(down, window, across, window).transpose(1, 2).reshape(-1, window * window)
    groups = [len(windows)]
    if shift:
        last_row = torch.arange(down)[:, None] == down - 1
        last_column = torch.arange(across)[None, :] == across - 1
        kind = (2 * last_row + 1 * last_column).flatten()
        windows = windows[kind.argsort(stable=True)]
        groups = kind.bincount(minlength=4).tolist()
    gather = windows.flatten()
    scatter = torch.empty(h * w + 1, dtype=torch.int64)
    scatter[gather] = torch.arange(len(gather))
    group = torch.arange(len(groups)).repeat_interleave(torch.tensor(groups))
    return WindowPlan(gather.to(device), scatter[:-1].to(device), groups, group.to(device))


def window_masks(window: int, shift: int) -> Tensor:
    """`(groups, 1, N, N)`: 0 and -inf for each group of a `WindowPlan`."""
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
        self.norm2, self.fc1, self.fc2 = block.norm2, block.mlp.fc1, block.mlp.fc2
        self.heads = block.attn.heads
        bias = block.attn.bias()
        masks = window_masks(block.window, block.shift).to(bias)
        self.bias = nn.Parameter((bias + masks).contiguous(), requires_grad=False)

    def forward(self, x: Tensor, plan: WindowPlan) -> Tensor:
        """`(B, H * W, C)` to the same."""
        x.add_(self.proj(self.attend(x, plan)))
        for part in torch.split(x, CHUNK_TOKENS, 1):
            part.add_(self.fc2(functional.gelu(self.fc1(self.norm2(part)))))
        return x

    def attend(self, x: Tensor, plan: WindowPlan) -> Tensor:
        """Window attention up to the output layer."""
        b, _, c = x.shape
        # One zero token stands for all padding: zeros after the norm, so that its qkv is the bias.
        qkv = self.qkv(functional.pad(self.norm1(x), (0, 0, 0, 1))).index_select(1, plan.gather)
        n = self.bias.shape[-1]
        qkv = qkv.view(b, -1, n, 3, self.heads, c // self.heads)
        out = []
        for group, bias in zip(torch.split(qkv, plan.groups, 1), self.bias, strict=True):
            q, k, v = group.flatten(0, 1).permute(2, 0, 3, 1, 4)
            y = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
            out.append(y.transpose(1, 2).reshape(b, -1, c))
        return torch.cat(out, 1).index_select(1, plan.scatter)


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
        plans = []
        h, w = h // 4, w // 4
        for _ in self.stages:
            whole = window_plan(h, w, self.window, 0, device)
            plans.append((whole, window_plan(h, w, self.window, self.window // 2, device)))
            h, w = (h + 1) // 2, (w + 1) // 2
        return plans

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
