"""BiRefNet's decoder (Zheng et al., CAAI AIR 2024), plain form. Names are the checkpoints'."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from rmbg_service.models.birefnet.deform import DeformableConv2d

INNER = 64
"""Channels inside every decoder block."""


def resize(x: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """Bilinear interpolation to `(h, w)` in which corner pixels stay corner pixels."""
    return functional.interpolate(x, size=tuple(size), mode="bilinear", align_corners=True)


def tiles(image: Tensor, h: int, w: int) -> Tensor:
    """Cut `(B, 3, gh * h, gw * w)` into tiles of h x w, laid into channels.

    Channel `(c * gh + row) * gw + column` of the result `(B, 3 * gh * gw, h, w)` is colour `c` of
    the tile at `(row, column)`: the order `c_hg_wg`.
    """
    b, c, height, width = image.shape
    grid = image.reshape(b, c, height // h, h, width // w, w)
    return grid.permute(0, 1, 2, 4, 3, 5).reshape(b, -1, h, w)


class DeformableBranch(nn.Module):
    """A deformable convolution, BatchNorm and ReLU."""

    def __init__(self, channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.atrous_conv = DeformableConv2d(channels, out_channels, kernel)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` to `(B, D, H, W)`."""
        return functional.relu(self.bn(self.atrous_conv(x)))


class ASPPDeformable(nn.Module):
    """Atrous spatial pyramid pooling with deformable convolutions in place of dilated ones."""

    KERNELS = (1, 3, 7)

    def __init__(self, width: int = 256) -> None:
        super().__init__()
        self.aspp1 = DeformableBranch(INNER, width, 1)
        self.aspp_deforms = nn.ModuleList(DeformableBranch(INNER, width, k) for k in self.KERNELS)
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(INNER, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.conv1 = nn.Conv2d(5 * width, INNER, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(INNER)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, 64, H, W)` to the same."""
        branches = [self.aspp1(x), *(branch(x) for branch in self.aspp_deforms)]
        branches.append(self.global_avg_pool(x).expand_as(branches[0]))
        return functional.relu(self.bn1(self.conv1(torch.cat(branches, 1))))


class BasicDecBlk(nn.Module):
    """3 x 3 convolution to 64 channels, ASPPDeformable, 3 x 3 convolution to the output."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(channels, INNER, 3, padding=1)
        self.bn_in = nn.BatchNorm2d(INNER)
        self.dec_att = ASPPDeformable()
        self.conv_out = nn.Conv2d(INNER, out_channels, 3, padding=1)
        self.bn_out = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` to `(B, D, H, W)`."""
        x = self.dec_att(functional.relu(self.bn_in(self.conv_in(x))))
        out: Tensor = self.bn_out(self.conv_out(x))
        return out


class InputBlock(nn.Module):
    """Two 3 x 3 convolutions on tiles of the input image, nothing between them."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, INNER, 3, padding=1)
        self.conv_out = nn.Conv2d(INNER, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` to `(B, D, H, W)`."""
        out: Tensor = self.conv_out(self.conv1(x))
        return out


class LateralBlock(nn.Module):
    """A 1 x 1 convolution of an encoder feature."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` to the same."""
        out: Tensor = self.conv(x)
        return out


class Decoder(nn.Module):
    """From encoder features to logits; tiles of the image itself guide every level.

    `channels` are those of the encoder features at strides 4, 8, 16 and 32.
    """

    def __init__(self, channels: tuple[int, int, int, int]) -> None:
        super().__init__()
        c1, c2, c3, c4 = channels
        self.ipt_blk5 = InputBlock(3 * 32 * 32, c4 // 8)
        self.ipt_blk4 = InputBlock(3 * 16 * 16, c4 // 8)
        self.ipt_blk3 = InputBlock(3 * 8 * 8, c3 // 8)
        self.ipt_blk2 = InputBlock(3 * 4 * 4, c2 // 8)
        self.ipt_blk1 = InputBlock(3, c1 // 8)
        self.decoder_block4 = BasicDecBlk(c4 + c4 // 8, c3)
        self.decoder_block3 = BasicDecBlk(c3 + c4 // 8, c2)
        self.decoder_block2 = BasicDecBlk(c2 + c3 // 8, c1)
        self.decoder_block1 = BasicDecBlk(c1 + c2 // 8, c1 // 2)
        self.conv_out1 = nn.Sequential(nn.Conv2d(c1 // 2 + c1 // 8, 1, 1))
        for level, c in ((4, c3), (3, c2), (2, c1)):
            gate = nn.Sequential(nn.Conv2d(c, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
            self.add_module(f"lateral_block{level}", LateralBlock(c))
            self.add_module(f"gdt_convs_{level}", gate)
            self.add_module(f"gdt_convs_attn_{level}", nn.Sequential(nn.Conv2d(16, 1, 1)))

    def forward(self, image: Tensor, x1: Tensor, x2: Tensor, x3: Tensor, x4: Tensor) -> Tensor:
        """Normalised image and encoder features to logits `(B, 1, H, W)`.

        `x4` is the squeezed context at stride 32; `x3`, `x2`, `x1` are features at 16, 8 and 4.
        """
        p = x4
        for level, lateral in ((4, x3), (3, x2), (2, x1)):
            p = self.block(level, image, p)
            attention = self.get_submodule(f"gdt_convs_{level}")(p)
            p = p * torch.sigmoid(self.get_submodule(f"gdt_convs_attn_{level}")(attention))
            lateral = self.get_submodule(f"lateral_block{level}")(lateral)
            p = resize(p, lateral.shape[2:]) + lateral
        p = resize(self.block(1, image, p), image.shape[2:])
        out: Tensor = self.conv_out1(torch.cat((p, self.ipt_blk1(image)), 1))
        return out

    def block(self, level: int, image: Tensor, p: Tensor) -> Tensor:
        """Decoder block `level` on `p` and the image in tiles of its size."""
        patches = self.get_submodule(f"ipt_blk{level + 1}")(tiles(image, *p.shape[2:]))
        out: Tensor = self.get_submodule(f"decoder_block{level}")(torch.cat((p, patches), 1))
        return out
