"""Reading a feature map at the moved taps of a deformable convolution, fast and exact.

A bilinear read is a weighted sum of four pixels. With the pixels as the rows of a matrix it is what
`embedding_bag` computes, on a CPU and on CUDA alike, without a tensor for each corner; elsewhere
the four rows are gathered one after the other. Positions are float32 also where the features are
16-bit: at 256 pixels a float16 position would be off by an eighth of a pixel.
"""

import torch
from torch import Tensor
from torch.nn import functional

CPU_CHUNK_BYTES = 8 * 2**20
"""Bytes of read taps at a time on each core of a CPU: they should stay in its cache."""

DEVICE_CHUNK_BYTES = 512 * 2**20
"""The same on an accelerator, where it bounds memory only."""


def padded_rows(x: Tensor) -> Tensor:
    """`(C, H, W)` to `((H + 3) * (W + 3), C)`: pixels as rows, in a frame of zeros.

    One row of zeros above and left, two below and right: every position clamped to [-1, size] then
    has its four pixels in the frame, and those outside the image count as zero.
    """
    return functional.pad(x.permute(1, 2, 0), (0, 0, 1, 2, 1, 2)).flatten(0, 1)


def corners(moves: Tensor, first: int, size: tuple[int, int], kernel: int) -> tuple[Tensor, Tensor]:
    """Which rows of `padded_rows` to read, and with which weights.

    `moves` is `(n, 3, k^2)`: dy, dx and the modulation's logit of each tap for the `n` pixels from
    number `first` on, of an image of `size` `(H, W)`. Returns int32 indices and weights, both
    `(n * k^2, 4)`.
    """
    h, w = size
    wide = torch.float64 if moves.dtype == torch.float64 else torch.float32
    moves = moves.to(wide)
    pixel = torch.arange(first, first + len(moves), device=moves.device)[:, None]
    tap = torch.arange(kernel * kernel, device=moves.device)[None, :]
    reach = kernel // 2
    y = (moves[:, 0] + (pixel // w + tap // kernel - reach)).clamp_(-1, h)
    x = (moves[:, 1] + (pixel % w + tap % kernel - reach)).clamp_(-1, w)
    top, left = y.floor(), x.floor()
    y, x = y.sub_(top), x.sub_(left)
    # The clamp of the index matters for NaN only: it must not become an address.
    last = (h + 1) * (w + 3) + w + 1
    index = ((top + 1) * (w + 3) + (left + 1)).to(torch.int32).clamp_(0, last)
    modulation = 2 * moves[:, 2].sigmoid()
    below = y * modulation
    above = modulation - below
    weight = torch.stack((above * (1 - x), above * x, below * (1 - x), below * x), -1)
    step = torch.tensor((0, 1, w + 3, w + 4), dtype=torch.int32, device=moves.device)
    return (index[..., None] + step).reshape(-1, 4), weight.reshape(-1, 4)


def read_bags(rows: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """Weighted sums of four rows each, `(n, C)`, by `embedding_bag`."""
    return functional.embedding_bag(
        index, rows, mode="sum", per_sample_weights=weight.to(rows.dtype)
    )


def read_gathered(rows: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """The same by four gathers, for devices without `embedding_bag`."""
    weight = weight.to(rows.dtype)
    out = rows[index[:, 0]] * weight[:, :1]
    for corner in range(1, 4):
        out.addcmul_(rows[index[:, corner]], weight[:, corner : corner + 1])
    return out
