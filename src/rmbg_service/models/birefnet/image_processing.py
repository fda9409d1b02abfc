"""Images to BiRefNet's input and logits to mattes, as a `transformers` image processor."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor, BaseImageProcessor, BatchFeature

from rmbg_service.models.birefnet.configuration import BiRefNetConfig
from rmbg_service.models.birefnet.decoder import resize
from rmbg_service.models.spec import IMAGENET_MEAN, IMAGENET_STD


class BiRefNetImageProcessor(BaseImageProcessor):
    """Resizes to `size` (bilinear, antialiased) and normalises; sides are multiples of 32."""

    model_input_names = ["pixel_values"]  # noqa: RUF012 - as the base class declares it

    def __init__(
        self,
        size: dict[str, int] | None = None,
        image_mean: Sequence[float] = IMAGENET_MEAN,
        image_std: Sequence[float] = IMAGENET_STD,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size = size or {"height": 1024, "width": 1024}
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)

    def preprocess(
        self,
        images: Image.Image | Sequence[Image.Image],
        size: dict[str, int] | None = None,
        return_tensors: str | None = "pt",
    ) -> BatchFeature:
        """One Pillow image or several to `pixel_values` `(B, 3, height, width)` float32."""
        size = size or self.size
        batch = [images] if isinstance(images, Image.Image) else images
        target = (size["width"], size["height"])
        pixels = np.stack(
            [
                np.asarray(image.convert("RGB").resize(target, Image.Resampling.BILINEAR))
                for image in batch
            ]
        )
        mean, std = (np.asarray(each, np.float32) for each in (self.image_mean, self.image_std))
        normalised = (pixels / np.float32(255) - mean) / std
        return BatchFeature(
            {"pixel_values": normalised.transpose(0, 3, 1, 2)}, tensor_type=return_tensors
        )

    def post_process_matte(
        self,
        logits: Tensor,
        target_sizes: Sequence[tuple[int, int]] | None = None,
    ) -> list[Tensor]:
        """Logits `(B, 1, H, W)` to one matte in [0, 1] an image, at `target_sizes` if given."""
        mattes = torch.sigmoid(logits.float())
        if target_sizes is None:
            return list(mattes[:, 0])
        return [
            resize(matte[None], size)[0, 0]
            for matte, size in zip(mattes, target_sizes, strict=True)
        ]


AutoImageProcessor.register(BiRefNetConfig, slow_image_processor_class=BiRefNetImageProcessor)
