"""Brush strokes that correct an alpha.

`Strokes` come at any size; `paint` applies them as they are, `smart_strokes.mend` as hints at what
lies under them.
"""

from typing import NamedTuple

import cv2
import numpy as np

from rmbg_service.matting.arrays import UNIT, merge, resize, split, touched_tiles, window
from rmbg_service.types import Alpha, BoolMask

LIGHT = 128
"""Brightness, of 255, from which on a stroke keeps; darker ones erase."""

MAX_SIDE_PX = 2048
"""Longest side at which strokes are held."""

PAINTED = 25
"""Coverage, of 255, from which on a pixel counts as painted: 10%."""


class Strokes(NamedTuple):
    """How much is painted to be kept and to be erased: planes `(h, w)` uint8 of one size."""

    keep: Alpha
    erase: Alpha

    @property
    def painted(self) -> BoolMask:
        """Where anything is painted at all."""
        return np.asarray(cv2.max(self.keep, self.erase) > 0)


def strokes_of(brightness: Alpha, coverage: Alpha, size: tuple[int, int]) -> Strokes:
    """The strokes of an image of any size, for an image of `size`, `(height, width)`.

    `brightness` and `coverage` `(h, w)` uint8 are the image's grey values and its alpha.
    """
    light = brightness >= LIGHT
    scale = min(1.0, MAX_SIDE_PX / max(coverage.shape), max(size) / max(coverage.shape))
    held = (
        min(size[0], max(1, round(coverage.shape[0] * scale))),
        min(size[1], max(1, round(coverage.shape[1] * scale))),
    )
    return Strokes(
        keep=resize(np.where(light, coverage, np.uint8(0)), held),
        erase=resize(np.where(light, np.uint8(0), coverage), held),
    )


def paint(alpha: Alpha, strokes: Strokes) -> Alpha:
    """A copy of `alpha` `(H, W)` with the strokes painted on it, as with a soft brush.

    Pixels that no stroke covers keep their values.
    """
    painted = alpha.copy()
    planes = merge([strokes.keep * UNIT, strokes.erase * UNIT])
    for tile in touched_tiles(strokes.painted.astype(np.float32), alpha.shape[:2]):
        keep, erase = split(window(planes, alpha.shape, tile))
        level = alpha[tile] + keep * (255 - alpha[tile].astype(np.float32))
        painted[tile] = np.rint(level * (1 - erase)).astype(np.uint8)
    return painted
