"""BiRefNet (Zheng et al., CAAI AIR 2024): the network of RMBG-2.0, its evaluation path only."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rmbg_service.models.birefnet.configuration import BiRefNetConfig
from rmbg_service.models.birefnet.decoder import BasicDecBlk, Decoder, resize
from rmbg_service.models.birefnet.swin import SwinTransformer
from rmbg_service.models.predictor import PatchOrderChoice


class BiRefNet(PreTrainedModel):  # type: ignore[no-untyped-call]
    """A picture in, foreground logits out. The plain form; `fusing.fuse` makes the fast one."""

    config_class = BiRefNetConfig
    main_input_name = "pixel_values"

    config: BiRefNetConfig
    patch_order: PatchOrderChoice | None = None
    """How the weights were laid out before they were loaded; None for a network made in memory."""

    def __init__(self, config: BiRefNetConfig) -> None:
        super().__init__(config)
        c1, c2, c3, c4 = config.swin.channels
        self.bb = SwinTransformer(config.swin)
        self.squeeze_module = nn.Sequential(BasicDecBlk(2 * (c1 + c2 + c3 + c4), 2 * c4))
        self.decoder = Decoder((2 * c1, 2 * c2, 2 * c3, 2 * c4))
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Normalised RGB `(B, 3, H, W)`, H and W multiples of 32, to logits `(B, 1, H, W)`."""
        x1, x2, x3, x4 = self.encode(pixel_values)
        context = [resize(x, x4.shape[2:]) for x in (x1, x2, x3)]
        x4 = self.squeeze_module(torch.cat((*context, x4), 1))
        out: Tensor = self.decoder(pixel_values, x1, x2, x3, x4)
        return out

    def encode(self, image: Tensor) -> list[Tensor]:
        """Features of the picture, each followed by those of the picture at half the size."""
        h, w = image.shape[2:]
        full, half = self.bb(image), self.bb(resize(image, (h // 2, w // 2)))
        return [torch.cat((f, resize(g, f.shape[2:])), 1) for f, g in zip(full, half, strict=True)]

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, pretrained_model_name_or_path: str | Path, **kwargs: Any
    ) -> "BiRefNet":
        """Load a folder or a hub id; the keywords are those of `load_birefnet`.

        Replaces the inherited method, which would fill what a checkpoint lacks with random values
        and cannot read the official ones: their configuration does not describe the network.
        """
        from rmbg_service.models.birefnet.loading import load_birefnet

        return load_birefnet(pretrained_model_name_or_path, **kwargs)
