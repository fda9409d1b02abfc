"""Operations on planes and images that the matting and shadow steps share."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from rmbg_service.imaging.tiling import Tile, tiles
from rmbg_service.types import Matte, Planes

UNIT = np.float32(1 / 255)
"""Brings uint8 values to [0, 1] as float32."""

AnyArray = TypeVar("AnyArray", NDArray[np.uint8], NDArray[np.float32])


def split(planes: Planes) -> list[Matte]:
    """The planes one by one."""
    return [np.asarray(plane, np.float32) for plane in cv2.split(planes)]


def merge(planes: Sequence[Matte]) -> Planes:
    """The planes as one array."""
    return np.asarray(cv2.merge(planes), np.float32)


def channel_mean(planes: Planes) -> Matte:
    """The mean of three channels `(h, w)`; many times faster than along the last axis."""
    r, g, b = split(planes)
    return np.asarray((r + g + b) / 3, np.float32)


def channel_max(image: AnyArray) -> AnyArray:
    """The largest of three channels `(h, w)`; many times faster than along the last axis."""
    r, g, b = cv2.split(image)
    return np.asarray(cv2.max(cv2.max(r, g), b), image.dtype)


def vector_length(across: Matte, down: Matte) -> Matte:
    """The length of vectors, given by two planes of one shape; both planes are overwritten.

    Not by `cv2.magnitude`, which rounds as its arrays lie in memory: equal images would have
    results that differ.
    """
    across *= across
    down *= down
    across += down
    return np.sqrt(across, out=across)


def resize(image: AnyArray, size: tuple[int, int], enlarge: int = cv2.INTER_CUBIC) -> AnyArray:
    """Area average when shrinking, `enlarge` otherwise; float results clipped to [0, 1]."""
    if image.shape[:2] == size:
        return image
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    resized = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinks else enlarge)
    if image.dtype == np.float32:
        resized = np.clip(resized, 0, 1)
    return np.asarray(resized, image.dtype)


def size_within(shape: tuple[int, ...], side_px: int) -> tuple[int, int]:
    """`(height, width)` of an array of this shape, shrunk to at most `side_px` on each side."""
    height, width = shape[:2]
    scale = min(1.0, side_px / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def shrunk(image: AnyArray, side_px: int) -> AnyArray:
    """The image within `side_px`, from every n-th row if there are far more than needed."""
    skip = max(1, max(image.shape[:2]) // (2 * side_px))
    rows = slice(min(skip // 2, image.shape[0] - 1), None, skip)
    return resize(image[rows], size_within(image.shape, side_px))


def window(planes: AnyArray, size: tuple[int, ...], tile: Tile) -> AnyArray:
    """The part `tile` of `planes` enlarged linearly to `size`, `(height, width)`."""
    rows, columns = tile
    down, across = planes.shape[0] / size[0], planes.shape[1] / size[1]
    to_source = np.array(
        [
            [across, 0, (columns.start + 0.5) * across - 0.5],
            [0, down, (rows.start + 0.5) * down - 0.5],
        ]
    )
    enlarged = cv2.warpAffine(
        planes,
        to_source,
        (columns.stop - columns.start, rows.stop - rows.start),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(enlarged, planes.dtype)


class PairWindow:
    """`window` for two planes `(h, w, 2)`, of which it reads a part of a tile.

    OpenCV reads two planes at positions that it rounds to 1/32 px, counted from the tile's corner.
    They are the same here, so that a pixel does not depend on what else is read.
    """

    def __init__(self, pair: Planes, size: tuple[int, int]) -> None:
        self._pair = pair
        self._steps = pair.shape[0] / size[0], pair.shape[1] / size[1]
        self._rows: dict[int, NDArray[np.int32]] = {}
        self._columns: dict[int, NDArray[np.int32]] = {}

    def read(self, tile: Tile, part: Tile) -> Planes:
        """The planes in `part`, which lies in `tile`, a tile of the image."""
        rows, columns = tile
        y, x = self._rows.get(rows.start), self._columns.get(columns.start)
        if y is None:
            first, steps = _positions(rows, self._steps[0])
            y = self._rows[rows.start] = _in_32nds(first + steps)
        if x is None:
            first, steps = _positions(columns, self._steps[1])
            x = self._columns[columns.start] = _in_32nds(np.rint(first) + np.rint(steps))
        y = y[part[0].start - rows.start : part[0].stop - rows.start, None]
        x = x[part[1].start - columns.start : part[1].stop - columns.start]
        # cv2.remap takes whole pixels as two int16, x first, and the rest as (y, x) of 5 bits each.
        whole = (y >> 5) << 16 | (x >> 5) & 0xFFFF
        rest = ((y & 31) << 5 | x & 31).astype(np.uint16)
        position = whole.astype("<i4", copy=False).view("<i2").reshape(*whole.shape, 2)
        read = cv2.remap(
            self._pair, position, rest, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(read, np.float32)


def _positions(side: slice, step: float) -> tuple[float, NDArray[np.float64]]:
    """Where the first pixel is read, and how much further the others, in 1/1024 px."""
    first = (side.start + 0.5) * step - 0.5
    return first * 1024, np.arange(side.stop - side.start) * step * 1024


def _in_32nds(position: NDArray[np.float64]) -> NDArray[np.int32]:
    """1/32 px from 1/1024 px, rounded."""
    return np.asarray((np.rint(position).astype(np.int32) + 16) >> 5, np.int32)


def touched_tiles(band: Matte, size: tuple[int, int]) -> Iterator[Tile]:
    """The tiles of an image of `size` that `band > 0`, a plane of at most that size, may reach."""
    touched = (band > 0).astype(np.uint8)
    down, across = band.shape[0] / size[0], band.shape[1] / size[1]
    for rows, columns in tiles(size):
        top, left = max(0, int(rows.start * down) - 1), max(0, int(columns.start * across) - 1)
        bottom, right = int(rows.stop * down) + 2, int(columns.stop * across) + 2
        if cv2.hasNonZero(touched[top:bottom, left:right]):
            yield rows, columns


def touched_part(band: Matte, tile: Tile) -> Tile:
    """The rectangle around `band > 0` in a tile of `band`, and a pixel more on each side.

    `tile` must hold some of the band or lie beside it.
    """
    rows, columns = (slice(max(0, part.start - 1), part.stop + 1) for part in tile)
    left, top, width, height = cv2.boundingRect((band[rows, columns] > 0).astype(np.uint8))
    left, top = columns.start + left, rows.start + top
    return (
        slice(max(0, top - 1), min(top + height + 1, band.shape[0])),
        slice(max(0, left - 1), min(left + width + 1, band.shape[1])),
    )


def reached_parts(band: Matte, size: tuple[int, int]) -> Iterator[tuple[Tile, Tile]]:
    """The tiles of an image of `size` that `band > 0`, enlarged linearly, reaches.

    With each the rectangle in it that is reached.
    """
    down, across = band.shape[0] / size[0], band.shape[1] / size[1]
    for rows, columns in touched_tiles(band, size):
        near_rows, near_columns = (
            slice(max(0, int(whole.start * step) - 1), int(whole.stop * step) + 2)
            for whole, step in ((rows, down), (columns, across))
        )
        near = (band[near_rows, near_columns] > 0).astype(np.uint8)
        left, top, width, height = cv2.boundingRect(near)
        part = (
            _reached(rows, near_rows.start + top, height, down),
            _reached(columns, near_columns.start + left, width, across),
        )
        if all(side.start < side.stop for side in part):
            yield (rows, columns), part


def _reached(whole: slice, first: int, count: int, step: float) -> slice:
    """The part of `whole` whose positions are within a px of `count` px from `first` on."""
    margin = 0.5 + 1 / 16  # positions count from the middle of a px, and are rounded
    start = int((first - margin) / step - 0.5)
    stop = int((first + count + margin) / step - 0.5) + 2
    return slice(max(whole.start, start), min(whole.stop, stop))
