"""The subject's own colours in the soft band, with the old background unmixed.

Blur fusion, Forte, "Approximate fast foreground colour estimation", ICIP 2021, run from wide to
narrow blurs at a small working size; its estimates of both layers are then brought to the full
picture and corrected there, pixel by pixel, so that the layers mix to the colour that was seen.
Two things differ from the paper: more and narrower steps, and averages weighted by the square of
the alpha, so that purer pixels count more.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from rmbg_service.imaging.tiling import tiles
from rmbg_service.matting.arrays import UNIT, merge, window
from rmbg_service.types import Alpha, Matte, Planes, RgbImage

WORKING_SIDE_PX = 640
RADII_PX = (30, 10, 3, 1)
"""Blur radii at the working size, one step each."""

NOTHING = np.float32(1e-5)
"""Weight of a pixel's own estimate, which stays where the layer is not seen in the window."""


def estimate_foreground(rgb: RgbImage, alpha: NDArray[np.uint8] | NDArray[np.float32]) -> RgbImage:
    """A copy of `rgb` whose colours are the foreground's wherever `0 < alpha < 1`.

    `alpha` `(H, W)` is uint8, or float32 in [0, 1]. Fully opaque and fully transparent pixels keep
    their colours.
    """
    if alpha.dtype == np.uint8:
        levels = np.asarray(alpha, np.uint8)
    else:
        levels = np.round(np.clip(np.asarray(alpha, np.float32), 0, 1) * 255).astype(np.uint8)
    colours = rgb.copy()
    soft = [tile for tile in tiles(levels.shape) if cv2.inRange(levels[tile], 1, 254).any()]
    if not soft:
        return colours
    back, front = _layers(rgb, levels)
    for tile in soft:
        share = merge([levels[tile] * UNIT] * 3)
        behind = window(back, levels.shape, tile)
        before = window(front, levels.shape, tile)
        rest = rgb[tile] - behind - share * (before - behind)
        unmixed = cv2.add(before, share * rest, dtype=cv2.CV_8U)
        cv2.copyTo(unmixed, cv2.inRange(levels[tile], 1, 254), colours[tile])
    return colours


def _layers(rgb: RgbImage, alpha: Alpha) -> tuple[Planes, Planes]:
    """Background and foreground estimates `(h, w, 3)` in [0, 255] at the working size."""
    skip = max(1, round(max(alpha.shape) / WORKING_SIDE_PX))
    height, width = alpha.shape
    sampled = (
        slice(min(skip // 2, height - 1), None, skip),
        slice(min(skip // 2, width - 1), None, skip),
    )
    mixed = rgb[sampled].astype(np.float32)
    share = alpha[sampled] * UNIT
    shares = merge([share] * 3)
    back = front = mixed
    for radius in RADII_PX:
        front, back = _mean(front, share**2, radius), _mean(back, (1 - share) ** 2, radius)
        if radius != RADII_PX[-1]:
            rest = mixed - back - shares * (front - back)
            front = np.clip(front + shares * rest, 0, 255)
            back = np.clip(back + rest - shares * rest, 0, 255)
    return back, front


def _mean(colours: Planes, weights: Matte, radius: int) -> Planes:
    def sums(plane: Planes | Matte) -> Planes:
        size = (2 * radius + 1, 2 * radius + 1)
        return np.asarray(cv2.blur(plane, size, borderType=cv2.BORDER_REFLECT))

    total = sums(colours * merge([weights] * 3)) + NOTHING * colours
    return np.divide(total, merge([sums(weights) + NOTHING] * 3), dtype=np.float32)
