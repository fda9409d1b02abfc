"""From the plain network to the one that serves requests."""

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional

from rmbg_service.models.birefnet.decoder import BasicDecBlk, LateralBlock, resize
from rmbg_service.models.birefnet.fused_decoder import FusedBlock, FusedDecoder, like
from rmbg_service.models.birefnet.fused_swin import FusedSwin, WindowPlan, chunk_tokens_of
from rmbg_service.models.birefnet.modeling import BiRefNet
from rmbg_service.models.birefnet.packing import can_pack, pack

Plan = list[tuple[WindowPlan, WindowPlan]]


def resize_through(x: Tensor, middle: torch.Size, size: torch.Size) -> Tensor:
    """`resize(resize(x, middle), size)` without making the middle, which may be much larger."""
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    down = interpolation(x.shape[2], middle[0], size[0], wide, x.device)
    across = interpolation(x.shape[3], middle[1], size[1], wide, x.device)
    b, c, h, w = x.shape
    rows = down @ x.permute(0, 2, 3, 1).reshape(b, h, w * c).to(wide)
    out: Tensor = across @ rows.view(b, size[0], w, c)
    return out.permute(0, 3, 1, 2).to(x.dtype)


@functools.lru_cache(maxsize=64)
def interpolation(
    start: int, middle: int, end: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """`(end, start)`: linear interpolation from `start` to `middle` to `end` samples."""
    steps = torch.eye(start, dtype=torch.float64)[None]
    for size in (middle, end):
        steps = functional.interpolate(steps, size=size, mode="linear", align_corners=True)
    return steps[0].T.contiguous().to(device, dtype)


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
        self._plans: dict[tuple[int, int, torch.device], tuple[Plan, Plan]] = {}

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Normalised RGB `(B, 3, H, W)`, H and W multiples of 32, to logits `(B, 1, H, W)`."""
        h, w = pixel_values.shape[2:]
        return self.run(pixel_values, *self.plans(h, w, pixel_values.device))

    def plans(self, h: int, w: int, device: torch.device) -> tuple[Plan, Plan]:
        """Window plans of the image and of the image at half the size; made once a size."""
        key = (h, w, device)
        if key not in self._plans:
            half = self.backbone.plan(h // 2, w // 2, device)
            self._plans[key] = (self.backbone.plan(h, w, device), half)
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

    def run(self, image: Tensor, full_plan: Plan, half_plan: Plan) -> Tensor:
        """`forward` with the plans given; the part that `torch.compile` may take."""
        out: Tensor = self.decoder(image, *self.encode(image, full_plan, half_plan))
        return out

    def encode(
        self, image: Tensor, full_plan: Plan, half_plan: Plan
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """The squeezed context, and the laterals of the decoder's levels 4, 3 and 2."""
        h, w = image.shape[2:]
        half = self.backbone(resize(image, (h // 2, w // 2)), half_plan)
        full = self.backbone(image, full_plan)
        size = full[3].shape[2:]
        context = []
        for f, g in zip(full, half, strict=True):
            context += [resize(f, size), resize_through(g, f.shape[2:], size)]
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
