from typing import Any

import numpy as np
import pytest

from rmbg_service.errors import BeyondFormat
from rmbg_service.imaging.cutout import Cutout, Shadow
from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.result import background_pixels, encode
from rmbg_service.types import Box

LIMIT = 10**9


def cutout(width: int = 60, height: int = 40) -> Cutout:
    """The left half, opaque, and a shadow under it."""
    alpha = np.zeros((height, width), np.uint8)
    alpha[:, : width // 2] = 255
    rgb = np.full((height, width, 3), 120, np.uint8)
    return Cutout(rgb, alpha, confidence=0.98765, shadow=Shadow("drop", alpha // 2))


@pytest.mark.parametrize(
    ("given", "format_", "media_type", "size"),
    [
        ({}, "png", "image/png", (60, 40)),
        ({"format": "auto"}, "png", "image/png", (60, 40)),
        ({"format": "auto", "background": "red"}, "jpeg", "image/jpeg", (60, 40)),
        ({"format": "jpeg", "max_side": 30}, "jpeg", "image/jpeg", (30, 20)),
        ({"output": "matte"}, "png", "image/png", (60, 40)),
        ({"output": "layers"}, "zip", "application/zip", (60, 40)),
        ({"crop": True}, "png", "image/png", (30, 40)),
        ({"scale": "50%"}, "png", "image/png", (60, 40)),
    ],
)
def test_the_file_is_what_the_options_ask_for(
    given: dict[str, Any], format_: str, media_type: str, size: tuple[int, int]
) -> None:
    result = encode(cutout(), RemovalOptions.model_validate(given), LIMIT)
    assert (result.format, result.media_type) == (format_, media_type)
    assert (result.width, result.height) == size
    assert result.box == Box(0, 0, 30, 40)
    assert result.confidence == 0.9877
    assert result.shadow is not None
    assert result.shadow.alpha is None


def test_the_size_before_the_limits_is_told() -> None:
    result = encode(cutout(), RemovalOptions(max_pixels=600), LIMIT)
    assert result.full_size == (60, 40)
    assert result.width * result.height <= 600


def test_a_side_that_the_format_cannot_have_is_refused() -> None:
    wide = cutout(16_384, 1)
    with pytest.raises(BeyondFormat, match="webp has at most 16383"):
        encode(wide, RemovalOptions(format="webp"), LIMIT)
    assert encode(wide, RemovalOptions(format="webp", max_side=16_383), LIMIT).width == 16_383


def test_a_transparent_background_is_on_white() -> None:
    rgb, alpha = np.zeros((2, 2, 3), np.uint8), np.array([[0, 255], [255, 255]], np.uint8)
    info = ImageInfo("png", 2, 2)
    assert background_pixels(SourceImage(info, rgb)) is rgb
    assert background_pixels(SourceImage(info, rgb, alpha))[..., 0].tolist() == [[255, 0], [0, 0]]
