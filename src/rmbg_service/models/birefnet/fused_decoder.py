"""The decoder as it serves requests: the numbers of `decoder.py` with less memory and work.

What is merged, all of it exact but for rounding: BatchNorm into the convolution before it; offset
and modulator convolutions of a branch into one; the pooled branch of ASPP into a bias; the last
1 x 1 convolution into the two that feed it. Features are channels-last throughout.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from rmbg_service.models.birefnet import sampling
from rmbg_service.models.birefnet.decoder import (
    ASPPDeformable,
    BasicDecBlk,
    Decoder,
    DeformableBranch,
    InputBlock,
    resize,
    tiles,
)
from rmbg_service.models.birefnet.packing import ActiveLinear
from rmbg_service.models.birefnet.parallel import for_each


def fold(conv: nn.Conv2d, bn: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution that computes `bn(conv(x))`."""
    assert bn.running_mean is not None
    assert bn.running_var is not None
    scale = bn.weight.double() / (bn.running_var.double() + bn.eps).sqrt()
    bias = torch.zeros_like(scale) if conv.bias is None else conv.bias.double()
    bias = bn.bias.double() + (bias - bn.running_mean.double()) * scale
    return like(conv, conv.weight.double() * scale[:, None, None, None], bias)


def like(conv: nn.Conv2d, weight: Tensor, bias: Tensor) -> nn.Conv2d:
    """A convolution padded as `conv`, in its dtype, with other weights."""
    out, channels, *kernel = weight.shape
    made = nn.Conv2d(channels, out, (kernel[0], kernel[1]), padding="same", device="meta")
    dtype = conv.weight.dtype
    weight = weight.to(dtype, memory_format=torch.channels_last)
    made.load_state_dict({"weight": weight, "bias": bias.to(dtype)}, assign=True)
    return made.requires_grad_(False)


def channels_last(x: Tensor) -> Tensor:
    """`x` `(B, C, H, W)` laid out with its channels last.

    PyTorch transposes a matrix block by block, and a tensor of four dimensions value by value.
    """
    b, c, h, w = x.shape
    pixels = x.new_empty(b, h * w, c)
    for image, out in zip(x, pixels, strict=True):
        out.copy_(image.flatten(1).T)
    return pixels.view(b, h, w, c).permute(0, 3, 1, 2)


class FusedBranch(nn.Module):
    """A deformable branch and its share of ASPP's 1 x 1 convolution, in chunks of pixels."""

    def __init__(self, branch: DeformableBranch, share: Tensor) -> None:
        super().__init__()
        conv = branch.atrous_conv
        folded = fold(conv.regular_conv, branch.bn)
        assert folded.bias is not None
        self.kernel = conv.regular_conv.kernel_size[0]
        taps = folded.weight.permute(0, 2, 3, 1).flatten(1)
        self.taps = ActiveLinear.of(taps, folded.bias, "relu")
        self.share = nn.Parameter(share.T.contiguous(), requires_grad=False)
        self.moves = self._moves(conv.offset_conv, conv.modulator_conv)

    @staticmethod
    def _moves(offset: nn.Conv2d, modulator: nn.Conv2d) -> nn.Conv2d:
        """Offsets and modulation by one convolution; channels: all dy, all dx, all logits."""
        assert offset.bias is not None
        assert modulator.bias is not None
        weight = torch.cat((offset.weight[0::2], offset.weight[1::2], modulator.weight))
        bias = torch.cat((offset.bias[0::2], offset.bias[1::2], modulator.bias))
        return like(offset, weight, bias)

    def forward(self, x: Tensor, out: Tensor) -> None:
        """Add this branch for `x` `(B, 64, H, W)` to `out` `(B, H * W, 64)`."""
        b, _, h, w = x.shape
        moves = self.moves(x).permute(0, 2, 3, 1).reshape(b, h * w, 3, -1)
        for image, image_moves, image_out in zip(x, moves, out, strict=True):
            self._add(image, image_moves, image_out)

    def _add(self, image: Tensor, moves: Tensor, out: Tensor) -> None:
        """`forward` for one image, some pixels at a time."""
        _, h, w = image.shape
        read = sampling.read_gathered if image.device.type == "mps" else sampling.read_bags
        on_cpu = image.device.type == "cpu"
        budget = sampling.CPU_CHUNK_BYTES if on_cpu else sampling.DEVICE_CHUNK_BYTES
        widest = max(self.taps.in_features, self.taps.out_features)
        pixels = max(1, budget // (widest * image.element_size()))
        rows = sampling.padded_rows(image)

        def add(first: int) -> None:
            piece = moves[first : first + pixels]
            index, weight = sampling.corners(piece, first, (h, w), self.kernel)
            columns = read(rows, index, weight).view(len(piece), -1)
            out[first : first + pixels].addmm_(self.taps(columns), self.share)

        for_each(list(range(0, h * w, pixels)), add, image.device)


class FusedASPP(nn.Module):
    """`ASPPDeformable`: the branches are summed as they come, never laid side by side."""

    def __init__(self, aspp: ASPPDeformable) -> None:
        super().__init__()
        conv1 = fold(aspp.conv1, aspp.bn1)
        assert conv1.bias is not None
        shares = conv1.weight[:, :, 0, 0].chunk(5, 1)
        self.branches = nn.ModuleList(
            FusedBranch(branch, share)
            for branch, share in zip((aspp.aspp1, *aspp.aspp_deforms), shares[:4], strict=True)
        )
        _, pooled, bn, _ = aspp.global_avg_pool
        assert isinstance(pooled, nn.Conv2d)
        assert isinstance(bn, nn.BatchNorm2d)
        self.pooled = fold(pooled, bn)
        self.join = like(conv1, shares[4][:, :, None, None], conv1.bias)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, 64, H, W)` to the same."""
        b, c, h, w = x.shape
        pooled: Tensor = self.join(functional.relu_(self.pooled(x.mean((2, 3), keepdim=True))))
        out = pooled.view(b, 1, c).repeat(1, h * w, 1)
        for branch in self.branches:
            branch(x, out)
        return out.relu_().view(b, h, w, c).permute(0, 3, 1, 2)


class FusedBlock(nn.Module):
    """`BasicDecBlk`."""

    def __init__(self, block: BasicDecBlk) -> None:
        super().__init__()
        self.conv_in = fold(block.conv_in, block.bn_in)
        self.attention = FusedASPP(block.dec_att)
        self.conv_out = fold(block.conv_out, block.bn_out)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` to `(B, D, H, W)`."""
        out: Tensor = self.conv_out(self.attention(functional.relu_(self.conv_in(x))))
        return out


class Fused5x5(nn.Module):
    """An `InputBlock` and a 1 x 1 convolution to one channel, as one 5 x 5 convolution.

    Two 3 x 3 convolutions with nothing between are one 5 x 5, except in the outermost ring of
    pixels: there the second reads zeros outside the image, not what the first would give there.
    The ring is computed by the two convolutions, on strips three pixels wide.

    From 3 channels to 1 no library is fast. Laid into channels, 4 x 4 pixels see 12 x 12 of their
    surroundings by a 3 x 3 convolution, from 48 channels to 16.
    """

    def __init__(self, block: InputBlock, last: Tensor) -> None:
        super().__init__()
        assert block.conv1.bias is not None
        assert block.conv_out.bias is not None
        first = block.conv1.weight.double()
        second = torch.einsum("d,dcij->cij", last.double(), block.conv_out.weight.double())[None]
        bias = (last.double() @ block.conv_out.bias.double())[None]
        whole = functional.conv2d(first.transpose(0, 1), second.flip(2, 3), padding=2).transpose(
            0, 1
        )
        whole_bias = bias + second.sum((0, 2, 3)) @ block.conv1.bias.double()
        self.first = block.conv1
        self.second = like(block.conv_out, second, bias)
        self.whole = like(block.conv1, self._in_blocks(whole), whole_bias.repeat(16))

    @staticmethod
    def _in_blocks(weight: Tensor) -> Tensor:
        """`(1, 3, 5, 5)` to `(16, 48, 3, 3)`: the same convolution on blocks of 4 x 4 pixels."""
        blocks = weight.new_zeros(4, 4, 3, 12, 12)
        for row in range(4):
            for column in range(4):
                blocks[row, column, :, row + 2 : row + 7, column + 2 : column + 7] = weight[0]
        blocks = blocks.view(16, 3, 3, 4, 3, 4)  # position, colour, block row, row, ...
        return blocks.permute(0, 1, 3, 5, 2, 4).reshape(16, 48, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, 3, H, W)` to `(B, 1, H, W)`."""
        out = functional.pixel_shuffle(self.whole(functional.pixel_unshuffle(x, 4)), 4)
        out[:, :, :1] = self._exact(x[:, :, :3])[:, :, :1]
        out[:, :, -1:] = self._exact(x[:, :, -3:])[:, :, -1:]
        out[..., :1] = self._exact(x[..., :3])[..., :1]
        out[..., -1:] = self._exact(x[..., -3:])[..., -1:]
        return out

    def _exact(self, x: Tensor) -> Tensor:
        x = functional.pad(x, (0, 0, 0, 0, 0, self.first.in_channels - x.shape[1]))
        out: Tensor = self.second(self.first(x))
        return out[:, :1]


class FusedDecoder(nn.Module):
    """`Decoder`, from the pairs of features that `FusedBiRefNet` makes."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.patches = nn.ModuleDict()
        self.blocks = nn.ModuleDict()
        self.gates = nn.ModuleDict()
        for level in ("4", "3", "2", "1"):
            patches = decoder.get_submodule(f"ipt_blk{int(level) + 1}")
            block = decoder.get_submodule(f"decoder_block{level}")
            assert isinstance(block, BasicDecBlk)
            self.patches[level] = patches
            self.blocks[level] = FusedBlock(block)
        for level in ("4", "3", "2"):
            gate = decoder.get_submodule(f"gdt_convs_{level}")
            assert isinstance(gate, nn.Sequential)
            conv, bn, relu = gate
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(bn, nn.BatchNorm2d)
            attention = decoder.get_submodule(f"gdt_convs_attn_{level}")
            self.gates[level] = nn.Sequential(fold(conv, bn), relu, attention, nn.Sigmoid())

        last = decoder.conv_out1[0]
        final = self.blocks["1"]
        assert isinstance(last, nn.Conv2d)
        assert isinstance(final, FusedBlock)
        assert last.bias is not None
        assert final.conv_out.bias is not None
        # The last 1 x 1 convolution is linear: one half of it goes before the interpolation.
        deep, shallow = torch.tensor_split(last.weight[0, :, 0, 0], [final.conv_out.out_channels])
        weight = torch.einsum("d,dcij->cij", deep.double(), final.conv_out.weight.double())[None]
        bias = last.bias.double() + deep.double() @ final.conv_out.bias.double()
        final.conv_out = like(final.conv_out, weight, bias)
        self.image = Fused5x5(decoder.ipt_blk1, shallow)

    def forward(self, image: Tensor, p: Tensor, laterals: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Image, squeezed context and the laterals of levels 4, 3, 2 to logits `(B, 1, H, W)`."""
        for level, (of_full, of_half) in zip(("4", "3", "2"), laterals, strict=True):
            p = self.block(level, image, p)
            p = p.mul_(self.gates[level](p))
            p = resize(p.add_(of_half), of_full.shape[2:]).add_(of_full)
        logits = resize(self.block("1", image, p)[:, :1], image.shape[2:])
        return logits.add_(self.image(image))

    def block(self, level: str, image: Tensor, p: Tensor) -> Tensor:
        """Decoder block `level` on `p` and the image in tiles of its size."""
        pieces = channels_last(tiles(image, *p.shape[2:]))
        out: Tensor = self.blocks[level](torch.cat((p, self.patches[level](pieces)), 1))
        return out
