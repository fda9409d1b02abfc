"""From the plain network to the one that serves requests."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from rmbg_service.models.birefnet.decoder import BasicDecBlk, LateralBlock, resize
from rmbg_service.models.birefnet.fused_decoder import FusedBlock, FusedDecoder, like
from rmbg_service.models.birefnet.fused_swin import FusedSwin, WindowPlan, chunk_tokens_of
from rmbg_service.models.birefnet.modeling import BiRefNet
from rmbg_service.models.birefnet.packing import can_pack, pack

Plan = list[tuple[WindowPlan, WindowPlan]]


class Plans(NamedTuple):
    """What depends only on the size of the image.

    The windows of the image and of the image at half the size, and for each stage the matrices
    that bring the rows and the columns of the latter's features to the size of the last stage.
    """

    full: Plan
    half: Plan
    shrinking: list[tuple[Tensor, Tensor]]


def resize_by(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """`(B, C, h, w)` to `(B, C, H, W)` by matrices `(H, h)` and `(W, w)`."""
    b, c, h, w = x.shape
    tall = rows @ x.permute(0, 2, 3, 1).reshape(b, h, w * c).to(rows.dtype)
    out: Tensor = columns @ tall.view(b, len(rows), w, c)
    return out.permute(0, 3, 1, 2).to(x.dtype)


def interpolation(start: int, middle: int, end: int) -> Tensor:
    """`(end, start)`: linear interpolation from `start` to `middle` to `end` samples.

    The result in the middle, which may be much larger, is never made.
    """
    steps = torch.eye(start, dtype=torch.float64)[None]
    for size in (middle, end):
        steps = functional.interpolate(steps, size=size, mode="linear", align_corners=True)
    return steps[0].T.contiguous()


class FusedLateral(nn.Module):
    """`LateralBlock` of `cat(full, resize(half))`, without making that.

    A 1 x 1 convolution and an interpolation are both linear and commute: the half-size features
    go through their part of the convolution before they are enlarged. The decoder enlarges them
    together with its own features, which have the same size.
    """

    def __init__(self, lateral: LateralBlock) -> None:
        super().__init__()
        conv = lateral.conv
        assert conv.bias is not None
        full, half = conv.weight.chunk(2, 1)
        self.of_full = like(conv, full, conv.bias)
        self.of_half = like(conv, half, torch.zeros_like(conv.bias))

    def forward(self, full: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, C, H, W)` and `(B, C, H', W')` to the same with 2 C: parts of one sum."""
        return self.of_full(full), self.of_half(half)


class FusedBiRefNet(nn.Module):
    """`BiRefNet`, evaluation only: the same numbers but for rounding."""

    def __init__(self, model: BiRefNet) -> None:
        super().__init__()
        self.backbone = FusedSwin(model.bb, model.config.swin.window)
        squeeze = model.squeeze_module[0]
        assert isinstance(squeeze, BasicDecBlk)
        self.squeeze = FusedBlock(squeeze)
        self.laterals = nn.ModuleList()
        for level in (4, 3, 2):
            lateral = model.decoder.get_submodule(f"lateral_block{level}")
            assert isinstance(lateral, LateralBlock)
            self.laterals.append(FusedLateral(lateral))
        self.decoder = FusedDecoder(model.decoder)
        self._plans: dict[tuple[int, int, torch.device, torch.dtype], Plans] = {}

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Normalised RGB `(B, 3, H, W)`, H and W multiples of 32, to logits `(B, 1, H, W)`."""
        return self.run(pixel_values, self.plans(pixel_values))

    def plans(self, image: Tensor) -> Plans:
        """The plans for images like this one; made once for a size."""
        h, w = image.shape[2:]
        # Interpolation is exact enough in float32; in 16 bits its weights would not be.
        wide = torch.float64 if image.dtype == torch.float64 else torch.float32
        key = (h, w, image.device, wide)
        if key not in self._plans:
            full, half = self.backbone.sizes(h, w), self.backbone.sizes(h // 2, w // 2)
            shrinking = []
            for small, large in zip(half, full, strict=True):
                rows, columns = (
                    interpolation(*sizes).to(image.device, wide)
                    for sizes in zip(small, large, full[-1], strict=True)
                )
                shrinking.append((rows, columns))
            plan = self.backbone.plan
            self._plans[key] = Plans(
                plan(h, w, image.device), plan(h // 2, w // 2, image.device), shrinking
            )
        return self._plans[key]

    def compile_run(self) -> None:
        """Let `torch.compile` take the network; each new input size then costs a compilation."""
        self.run = torch.compile(self.run, dynamic=False)  # type: ignore[method-assign]

    def pack(self) -> None:
        """Lay the weights out for this CPU; the network then stays on it and in its dtype."""
        dtype = self.backbone.embed.proj.weight.dtype
        if can_pack(dtype):
            rows = chunk_tokens_of(torch.device("cpu"))
            pack(self, rows)

    def run(self, image: Tensor, plans: Plans) -> Tensor:
        """`forward` with the plans given; the part that `torch.compile` may take."""
        out: Tensor = self.decoder(image, *self.encode(image, plans))
        return out

    def encode(self, image: Tensor, plans: Plans) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """The squeezed context, and the laterals of the decoder's levels 4, 3 and 2."""
        h, w = image.shape[2:]
        half = self.backbone(resize(image, (h // 2, w // 2)), plans.half)
        full = self.backbone(image, plans.full)
        size = full[3].shape[2:]
        context = []
        for f, g, matrices in zip(full, half, plans.shrinking, strict=True):
            context += [resize(f, size), resize_by(g, *matrices)]
        laterals = [self.laterals[i](full[2 - i], half[2 - i]) for i in range(3)]
        return self.squeeze(torch.cat(context, 1)), laterals


def fuse(model: BiRefNet) -> FusedBiRefNet:
    """The fast form of `model`, on the CPU. It shares weights with `model`: use one of them."""
    with torch.no_grad():
        fused = FusedBiRefNet(model)
    for module in fused.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
    fused.train(False)
    fused.requires_grad_(False)
    return fused
