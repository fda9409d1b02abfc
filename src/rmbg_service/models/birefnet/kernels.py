"""Triton kernels for the two steps of BiRefNet that CUDA libraries do badly.

Both read scattered rows, and both are followed by matrix products. Each kernel keeps what it read
on the chip until the product is made: a deformable branch never lays its 49 taps side by side in
memory, and window attention reads the tokens of a window from where they are, and writes them back
there, in place of two permutations. Sums are float32, operands stay 16-bit.

Triton comes with the CUDA builds of PyTorch and compiles at first use, for which it needs a C
compiler. `problem` says why the kernels cannot be used here; the plain torch forms then serve.
"""

import torch
from torch import Tensor, nn

try:
    import triton
    import triton.language as tl
except ImportError as error:  # CPU builds, macOS, Windows
    raise ImportError(f"Triton is not installed: {error}") from None


ATTENTION_BLOCKS = (64, 64, 4)
"""Queries and keys at a time, and warps; measured on an H200."""


@triton.jit
def _corner(x, y_at, x_at, weight, h, w, channel, C: tl.constexpr):
    """One of the four pixels of a bilinear read, weighted; zero outside the image."""
    inside = (y_at >= 0) & (y_at < h) & (x_at >= 0) & (x_at < w)
    at = x + (y_at * w + x_at)[:, None] * C + channel[None, :]
    return tl.load(at, mask=inside[:, None], other=0.0).to(tl.float32) * weight[:, None]


@triton.jit
def _deformable_branch(
    x, moves, taps, bias, share, out,
    h, w, moves_stride,
    KERNEL: tl.constexpr, C: tl.constexpr, D: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    image = tl.program_id(1).to(tl.int64)
    real = pixel < h * w
    x += image * h * w * C
    moves += image * h * w * moves_stride
    out += image * h * w * C
    channel = tl.arange(0, C)
    wide = tl.arange(0, D)
    row, column = pixel // w, pixel % w
    total = tl.zeros((BLOCK, D), tl.float32) + tl.load(bias + wide).to(tl.float32)[None, :]
    for tap in range(KERNEL * KERNEL):
        move = moves + pixel * moves_stride + tap
        dy = tl.load(move, mask=real, other=0.0).to(tl.float32)
        dx = tl.load(move + KERNEL * KERNEL, mask=real, other=0.0).to(tl.float32)
        logit = tl.load(move + 2 * KERNEL * KERNEL, mask=real, other=0.0).to(tl.float32)
        y = dy + (row + tap // KERNEL - KERNEL // 2).to(tl.float32)
        z = dx + (column + tap % KERNEL - KERNEL // 2).to(tl.float32)
        # Far outside is as good as just outside; the cast to an integer must not overflow.
        y = tl.where(y == y, tl.minimum(tl.maximum(y, -1.0), h.to(tl.float32)), -1.0)
        z = tl.where(z == z, tl.minimum(tl.maximum(z, -1.0), w.to(tl.float32)), -1.0)
        top, left = tl.floor(y), tl.floor(z)
        y, z = y - top, z - left
        # What is not a number stays so: an overflow must not pass for a matte.
        modulation = 2.0 / (1.0 + tl.exp(-logit)) + (dy + dx) * 0.0
        below = y * modulation
        above = modulation - below
        top, left = top.to(tl.int32), left.to(tl.int32)
        read = _corner(x, top, left, above * (1 - z), h, w, channel, C)
        read += _corner(x, top, left + 1, above * z, h, w, channel, C)
        read += _corner(x, top + 1, left, below * (1 - z), h, w, channel, C)
        read += _corner(x, top + 1, left + 1, below * z, h, w, channel, C)
        matrix = tl.load(taps + (tap * C + channel)[:, None] * D + wide[None, :])
        total = tl.dot(read.to(matrix.dtype), matrix, total)
    matrix = tl.load(share + wide[:, None] * C + channel[None, :])
    part = tl.dot(tl.maximum(total, 0.0).to(matrix.dtype), matrix)
    place = out + pixel[:, None] * C + channel[None, :]
    part += tl.load(place, mask=real[:, None], other=0.0).to(tl.float32)
    tl.store(place, part.to(out.dtype.element_ty), mask=real[:, None])


def deformable_branch(
    x: Tensor, moves: Tensor, taps: Tensor, bias: Tensor, share: Tensor, out: Tensor, kernel: int
) -> None:
    """Add a deformable convolution, its ReLU and its share of the following 1 x 1 to `out`.

    `x` `(B, C, H, W)` channels-last; `moves` `(B, M, H, W)` channels-last with dy of each tap, dx
    of each tap and the logits of the modulation first among its channels; `taps` `(k^2 * C, D)`;
    `share` `(D, C)`; `out` `(B, H * W, C)`. C and D are powers of two, at least 16.
    """
    b, c, h, w = x.shape
    d = taps.shape[1]
    # Small maps need small blocks to occupy the card. Measured on an H200.
    block = 64 if b * h * w >= 2**14 else 32 if b * h * w >= 2**12 else 16
    grid = (triton.cdiv(h * w, block), b)
    _deformable_branch[grid](
        x, moves, taps, bias, share, out, h, w, moves.shape[1],
        KERNEL=kernel, C=c, D=d, BLOCK=block, num_warps=4 if block < 64 else 8,
    )  # fmt: skip


@triton.jit
def _add_norm(
    x, delta, gain, bias, later, out,
    rows, eps,
    C: tl.constexpr, WIDE: tl.constexpr, ROWS: tl.constexpr, ADD: tl.constexpr,
):  # fmt: skip
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)[:, None]
    channel = tl.arange(0, WIDE)[None, :]
    real = (row < rows) & (channel < C)
    at = row * C + channel
    value = tl.load(x + at, mask=real, other=0.0).to(tl.float32)
    if ADD:
        value += tl.load(delta + at, mask=real, other=0.0).to(tl.float32)
        more = tl.load(later + channel, mask=channel < C, other=0.0).to(tl.float32)
        tl.store(x + at, (value + more).to(x.dtype.element_ty), mask=real)
    mean = tl.sum(value, 1)[:, None] / C
    centred = tl.where(real, value - mean, 0.0)
    scale = 1.0 / tl.sqrt(tl.sum(centred * centred, 1)[:, None] / C + eps)
    normed = centred * scale * tl.load(gain + channel, mask=channel < C, other=0.0).to(tl.float32)
    normed += tl.load(bias + channel, mask=channel < C, other=0.0).to(tl.float32)
    tl.store(out + at, normed.to(out.dtype.element_ty), mask=real)


def norm(x: Tensor, layer: nn.LayerNorm) -> Tensor:
    """`layer` of `x` `(..., C)`, contiguous."""
    return _run_norm(x, x, layer, layer.bias, False)


def add_norm(x: Tensor, delta: Tensor, layer: nn.LayerNorm, later: Tensor) -> Tensor:
    """`layer(x + delta)`; `x` `(..., C)` becomes `x + delta + later`, where `later` is `(C,)`."""
    return _run_norm(x, delta, layer, later, True)


def _run_norm(x: Tensor, delta: Tensor, layer: nn.LayerNorm, later: Tensor, add: bool) -> Tensor:
    c = x.shape[-1]
    out = torch.empty_like(x)
    wide = triton.next_power_of_2(c)
    rows = max(1, 2048 // wide)
    grid = (triton.cdiv(x.numel() // c, rows),)
    _add_norm[grid](
        x, delta, layer.weight, layer.bias, later, out, x.numel() // c, layer.eps,
        C=c, WIDE=wide, ROWS=rows, ADD=add, num_warps=4,
    )  # fmt: skip
    return out


@triton.jit
def _window_attention(
    qkv, padding, tokens, groups, bias, out,
    count, scale,
    HEADS: tl.constexpr, N: tl.constexpr, WIDTH: tl.constexpr,
    ASKS: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    window, head = tl.program_id(0), tl.program_id(1) % HEADS
    image = (tl.program_id(1) // HEADS).to(tl.int64)
    stride = HEADS * WIDTH
    qkv += image * count * 3 * stride + head * WIDTH
    out += image * count * stride + head * WIDTH
    padding += head * WIDTH
    bias += (tl.load(groups + window) * HEADS + head) * N * N
    tokens += window * N
    lane = tl.arange(0, WIDTH)[None, :]
    for start in range(0, N, ASKS):
        asks = start + tl.arange(0, ASKS)
        ask = tl.load(tokens + asks, mask=asks < N, other=count)[:, None]
        q = tl.load(tl.where(ask < count, qkv + ask * 3 * stride, padding) + lane)
        best = tl.full((ASKS,), -1e30, tl.float32)
        weight = tl.zeros((ASKS,), tl.float32)
        total = tl.zeros((ASKS, WIDTH), tl.float32)
        for first in range(0, N, KEYS):
            keys = first + tl.arange(0, KEYS)
            key = tl.load(tokens + keys, mask=keys < N, other=count)[:, None]
            at = tl.where(key < count, qkv + key * 3 * stride, padding) + lane
            k = tl.load(at + stride)
            v = tl.load(at + 2 * stride)
            both = (asks[:, None] < N) & (keys[None, :] < N)
            extra = tl.load(bias + asks[:, None] * N + keys[None, :], mask=both, other=0.0)
            score = tl.dot(q, tl.trans(k)) * scale + extra.to(tl.float32)
            score = tl.where(keys[None, :] < N, score, -float("inf"))
            now = tl.maximum(best, tl.max(score, 1))
            share = tl.exp(score - now[:, None])
            shrink = tl.exp(best - now)
            weight = weight * shrink + tl.sum(share, 1)
            total = total * shrink[:, None] + tl.dot(share.to(v.dtype), v)
            best = now
        total = total / weight[:, None]
        tl.store(out + ask * stride + lane, total.to(out.dtype.element_ty), mask=ask < count)


def window_attention(
    qkv: Tensor, padding: Tensor, tokens: Tensor, groups: Tensor, bias: Tensor
) -> Tensor:
    """Attention inside windows, `(B, T, C)`, without laying the windows out.

    `qkv` `(B, T, 3 * C)` contiguous; `padding` `(3 * C,)` is the qkv of a token of zeros; `tokens`
    `(windows * N,)` int32, T for padding; `groups` `(windows,)` int32, which of the biases a window
    has; `bias` `(groups, heads, N, N)`. The width of a head is a power of two, at least 16. Online
    softmax as in FlashAttention (Dao et al., NeurIPS 2022).
    """
    b, t, c = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    heads, n = bias.shape[1], bias.shape[2]
    out = qkv.new_empty(b, t, c)
    asks, keys, warps = ATTENTION_BLOCKS
    grid = (len(groups), b * heads)
    _window_attention[grid](
        qkv, padding, tokens, groups, bias, out, t, (c // heads) ** -0.5,
        HEADS=heads, N=n, WIDTH=c // heads, ASKS=asks, KEYS=keys, num_warps=warps,
    )  # fmt: skip
    return out
