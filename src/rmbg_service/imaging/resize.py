"""Images shrunk to the network's input."""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rmbg_service.types import ModelInput

_BACKDROPS = (255, 0, 128)
_NEAR = 64
_LONG = 16
"""A side of more targets than this is averaged in blocks, whatever the other side is."""


def shrink(rgb: NDArray[np.uint8], size: tuple[int, int]) -> ModelInput:
    """Resize `rgb` `(H, W, 3)` or `(H, W)` to `size` (height, width): bilinear, antialiased.

    Reductions of four and more first average whole blocks of pixels, which leaves at least twice
    the target for the bilinear step and is several times faster than bilinear alone. In a long and
    narrow image the blocks are long and narrow, too: the bilinear step goes over the rows first,
    and would stretch each of them to the target's width.
    """
    height, width = rgb.shape[:2]
    most = height // (2 * size[0]), width // (2 * size[1])
    down = across = max(1, min(most))
    if height // down > _LONG * size[0]:
        down = most[0]
    if width // across > _LONG * size[1]:
        across = most[1]
    if down > 1 or across > 1:
        reduced = (-(-width // across), -(-height // down))
        rgb = cv2.resize(rgb, reduced, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    resized = Image.fromarray(rgb).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def shrink_visible(
    rgb: NDArray[np.uint8], alpha: NDArray[np.uint8], size: tuple[int, int]
) -> ModelInput:
    """The same of an image with transparency `alpha` `(H, W)`, on a backdrop of its own.

    The colours under alpha 0 are not part of the image: a black logo often has black there, too.
    The backdrop is white, black or grey, whichever the fewest visible pixels are like.
    """
    seen = np.empty_like(rgb)
    for channel in range(3):
        seen[..., channel] = cv2.multiply(rgb[..., channel], alpha, scale=1 / 255)
    colours = shrink(seen, size).astype(np.float32)
    share = shrink(alpha, size).astype(np.float32) / 255
    grey = colours @ np.array([0.299, 0.587, 0.114], np.float32)
    alike = [float(share[abs(grey - level * share) < _NEAR * share].sum()) for level in _BACKDROPS]
    level = _BACKDROPS[int(np.argmin(alike))]
    on_backdrop = colours + level * (1 - share[..., None]) + 0.5
    return np.asarray(np.minimum(on_backdrop, 255), np.uint8)
