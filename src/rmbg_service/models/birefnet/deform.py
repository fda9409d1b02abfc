"""Deformable convolution v2 (Zhu et al., CVPR 2019), in plain torch.

The kernel's taps are moved by learned offsets, read by bilinear interpolation, and weighted by a
learned modulation. Stride 1, dilation 1, padding k // 2; outside the image everything is zero,
and of the four pixels around a position only those inside count.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


def deform_conv2d(x: Tensor, offset: Tensor, modulation: Tensor, weight: Tensor) -> Tensor:
    """Convolve `x` `(B, C, H, W)` with `weight` `(D, C, k, k)` at moved taps: `(B, D, H, W)`.

    `offset` is `(B, 2 k^2, H, W)`: (dy, dx) in pixels for each tap, taps in row-major order.
    `modulation` is `(B, k^2, H, W)`. The plain form: one row of taps after the other is read by
    `grid_sample` and multiplied with the weights.
    """
    b, c, h, w = x.shape
    k = weight.shape[-1]
    reach = torch.arange(k, device=x.device, dtype=x.dtype) - k // 2
    ys = torch.arange(h, device=x.device, dtype=x.dtype)[None, :, None]
    xs = torch.arange(w, device=x.device, dtype=x.dtype)[None, None, :] + reach[:, None, None]
    offset = offset.view(b, k, k, 2, h, w)
    modulation = modulation.view(b, k, k, h, w)
    out = x.new_zeros(())
    for row in range(k):
        y = offset[:, row, :, 0] + ys + reach[row]
        z = offset[:, row, :, 1] + xs
        # grid_sample counts from -1 (left edge of the first pixel) to 1 (right edge of the last).
        grid = torch.stack(((2 * z + 1) / w - 1, (2 * y + 1) / h - 1), -1).view(b, k * h, w, 2)
        read = functional.grid_sample(x, grid, "bilinear", "zeros", align_corners=False)
        columns = read.view(b, c, k, h, w) * modulation[:, None, row]
        taps = weight[:, :, row].reshape(-1, c * k, 1, 1)
        out = out + functional.conv2d(columns.view(b, c * k, h, w), taps)
    return out


class DeformableConv2d(nn.Module):
    """A deformable convolution whose offsets and modulation are convolutions of its input."""

    def __init__(self, channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        pad = kernel // 2
        self.offset_conv = nn.Conv2d(channels, 2 * kernel**2, kernel, padding=pad)
        self.modulator_conv = nn.Conv2d(channels, kernel**2, kernel, padding=pad)
        self.regular_conv = nn.Conv2d(channels, out_channels, kernel, padding=pad, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` to `(B, D, H, W)`."""
        modulation = 2 * torch.sigmoid(self.modulator_conv(x))
        return deform_conv2d(x, self.offset_conv(x), modulation, self.regular_conv.weight)
