"""Operations on planes and pictures that the matting and shadow steps share."""

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


def resize(image: AnyArray, size: tuple[int, int], enlarge: int = cv2.INTER_CUBIC) -> AnyArray:
    """Area average when shrinking, `enlarge` otherwise; float results clipped to [0, 1]."""
    if image.shape[:2] == size:
        return image
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    resized = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinks else enlarge)
    if image.dtype == np.float32:
        resized = np.clip(resized, 0, 1)
    return np.asarray(resized, image.dtype)


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


def touched_tiles(band: Matte, size: tuple[int, int]) -> Iterator[Tile]:
    """The tiles of a picture of `size` that `band > 0`, a plane of at most that size, may reach."""
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
