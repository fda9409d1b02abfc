"""The colours of the subject beyond its edge, for formats that store colour in blocks."""

import cv2
import numpy as np

from rmbg_service.imaging.tiling import tiles
from rmbg_service.types import Alpha, Matte, RgbImage

REACH_PX = 16
"""The widest block of a lossy format of images or video."""

_NOTHING = np.float32(1e-6)


def extend_colours(rgb: RgbImage, alpha: Alpha) -> RgbImage:
    """`rgb` with the colours of the subject up to `REACH_PX` px beyond its edge, black further out.

    `rgb` `(H, W, 3)` and `alpha` `(H, W)` are uint8. Lossy formats share colours between
    neighbours, so that black beside the edge would darken it. The colour that continues is a mean
    of the visible ones, weighted by alpha: nothing of the old background stays. Works in tiles, so
    that memory stays small.
    """
    extended = np.zeros_like(rgb)
    for tile in tiles(alpha.shape):
        rows, columns = tile
        around = (
            slice(max(0, rows.start - REACH_PX), rows.stop + REACH_PX),
            slice(max(0, columns.start - REACH_PX), columns.stop + REACH_PX),
        )
        if not alpha[around].any():
            continue
        extended[tile] = rgb[tile]
        hidden = cv2.inRange(alpha[tile], 0, 0)
        if hidden.any():
            mean = _visible_mean(rgb[around], alpha[around])
            mean = mean[rows.start - around[0].start :, columns.start - around[1].start :]
            cv2.copyTo(mean[: hidden.shape[0], : hidden.shape[1]], hidden, extended[tile])
    return extended


def _visible_mean(rgb: RgbImage, alpha: Alpha) -> RgbImage:
    """The mean of the visible colours around each pixel, 0 if none is visible."""
    side = 2 * REACH_PX + 1
    weights: Matte = cv2.merge([alpha.astype(np.float32)] * 3).astype(np.float32, copy=False)
    sums, total = (
        cv2.blur(plane, (side, side), borderType=cv2.BORDER_CONSTANT)
        for plane in (rgb * weights, weights)
    )
    return (sums / np.maximum(total, _NOTHING) + 0.5).astype(np.uint8)
