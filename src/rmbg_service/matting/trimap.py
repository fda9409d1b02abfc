"""The band that a matting network decides, and the tiles in which it sees it at full size.

A matting network takes an image and a trimap: known foreground, known background, and the unknown
pixels whose alpha it finds. Here the unknown pixels are those in which a small matte is not sure,
and what lies within a few of its pixels of them or of its contour. Tiles are as large as the crops
that the network was trained on, so memory does not grow with the image; only tiles with unknown
pixels are made. They overlap: the outermost pixels of a tile, which see the least around them, do
not count, and over the next ones a tile gives way to its neighbour.
"""

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from rmbg_service.imaging.tiling import Tile
from rmbg_service.imaging.tiling import tiles as small_tiles
from rmbg_service.matting.arrays import resize
from rmbg_service.matting.upsampling import SURE_MARGIN, upsample
from rmbg_service.types import Alpha, BoolMask, Matte, Trimap

TILE_PX = 512
"""Side of a tile: that of the crops that ViTMatte was trained on (Yao et al., arXiv:2305.15272)."""

MARGIN_PX = 64
"""This far from a side that is not the image's own, a tile does not count."""

RAMP_PX = 64
"""Over this many further pixels its weight rises to 1."""

STEP_PX = TILE_PX - 2 * MARGIN_PX - RAMP_PX
"""From tile to tile: a multiple of the network's patches, which then lie as without tiles."""

REACH, MIN_REACH_PX = 2, 4
"""The band reaches this many pixels of the matte beyond what is not sure, and at least this many of
the image, along each axis: networks see most images squeezed into a square."""

BACKGROUND, UNKNOWN, FOREGROUND = 0, 128, 255
"""The values of a trimap."""

_ONE = 255 * 256
"""Alpha of 1 in a sum over tiles; rounded up four times, it still fits 16 bits."""


class Band:
    """The unknown pixels of an image of `size`, `(height, width)`, by a `matte` of any size.

    Beside the image's arrays it holds three bytes for each pixel. Outside the band, alpha is that
    of `upsample`, to the last bit.
    """

    def __init__(self, matte: Matte, size: tuple[int, int]) -> None:
        self._size = size
        self._unknown = _unknown(matte, size)
        self._rows, self._columns = (
            ((np.arange(full) + 0.5) * (small / full)).astype(np.intp)
            for full, small in zip(size, self._unknown.shape, strict=True)
        )
        self._alpha = upsample(matte, size)
        self._sum = np.zeros(size, np.uint16)

    def tiles(self) -> Iterator[Tile]:
        """The tiles that decide an unknown pixel, row by row: at most `TILE_PX` a side."""
        for rows in _spans(self._size[0]):
            for columns in _spans(self._size[1]):
                core = _core(rows, self._size[0]), _core(columns, self._size[1])
                if self.unknown(core).any():
                    yield rows, columns

    def unknown(self, tile: Tile) -> BoolMask:
        """Which pixels of the tile are unknown."""
        rows, columns = self._rows[tile[0]], self._columns[tile[1]]
        return np.asarray(self._unknown[rows[:, None], columns])

    def trimap(self, tile: Tile) -> Trimap:
        """The trimap of the tile; where pixels are known, a matte of 0.5 or more is foreground."""
        known = np.where(self._alpha[tile] < 128, BACKGROUND, FOREGROUND)
        return np.where(self.unknown(tile), UNKNOWN, known).astype(np.uint8)

    def add(self, tile: Tile, matte: Matte) -> None:
        """Take the network's matte of one of the `tiles`."""
        rows, columns = (_weight(*sides) for sides in zip(tile, self._size, strict=True))
        self._sum[tile] += np.rint(matte * np.outer(rows, columns) * _ONE).astype(np.uint16)

    def finish(self) -> Alpha:
        """The alpha of the image, once the matte of every tile was added."""
        for tile in small_tiles(self._size):
            decided = np.rint(self._sum[tile] * (255 / _ONE)).astype(np.uint8)
            np.copyto(self._alpha[tile], decided, where=self.unknown(tile))
        return self._alpha


def _unknown(matte: Matte, size: tuple[int, int]) -> BoolMask:
    """The band, along each axis at the size of the matte, or of the image if that is smaller.

    In a matte much larger than its image, `MIN_REACH_PX` would be hundreds of pixels.
    """
    height, width = (min(sides) for sides in zip(size, matte.shape, strict=True))
    matte = resize(matte, (height, width))
    unsure = (matte > SURE_MARGIN) & (matte < 1 - SURE_MARGIN)
    inside = (matte >= 0.5).astype(np.uint8)
    contour = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    down = max(REACH, math.ceil(MIN_REACH_PX * height / size[0]))
    across = max(REACH, math.ceil(MIN_REACH_PX * width / size[1]))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * across + 1, 2 * down + 1))
    return np.asarray(cv2.dilate((unsure | contour).astype(np.uint8), disc) > 0)


def _spans(length: int) -> Iterator[slice]:
    """The tiles along a side of the image."""
    for start in range(0, max(length - TILE_PX, 0) + STEP_PX, STEP_PX):
        yield slice(start, min(start + TILE_PX, length))
        if start + TILE_PX >= length:
            return


def _core(span: slice, length: int) -> slice:
    """The part of a tile's side in which it counts."""
    return slice(
        span.start + (MARGIN_PX if span.start else 0),
        span.stop - (MARGIN_PX if span.stop < length else 0),
    )


def _weight(span: slice, length: int) -> NDArray[np.float32]:
    """How much each pixel along a tile's side counts; with its neighbours' weights, 1."""
    position = np.arange(span.stop - span.start, dtype=np.float32) + 0.5
    weight = np.ones_like(position)
    if span.start:
        weight = np.minimum(weight, (position - MARGIN_PX) / RAMP_PX)
    if span.stop < length:
        weight = np.minimum(weight, (position[::-1] - MARGIN_PX) / RAMP_PX)
    return np.clip(weight, 0, 1)
