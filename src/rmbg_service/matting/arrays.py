"""The arrays of this package by name, and how they change size."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from rmbg_service.types import Matte, Planes

UNIT = np.float32(1 / 255)
"""Brings uint8 values to [0, 1] as float32."""

TILE_PX = 128
"""Side of the pieces in which work on the full picture is done."""

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


def window(
    planes: Planes, size: tuple[int, ...], corner: tuple[int, int], shape: tuple[int, ...]
) -> Planes:
    """The part of `planes`, enlarged linearly to `size`, that begins at `corner`."""
    down, across = planes.shape[0] / size[0], planes.shape[1] / size[1]
    to_source = np.array(
        [
            [across, 0, (corner[1] + 0.5) * across - 0.5],
            [0, down, (corner[0] + 0.5) * down - 0.5],
        ]
    )
    return np.asarray(
        cv2.warpAffine(
            planes,
            to_source,
            shape[1::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def touched_tiles(band: Matte, size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Top left corners of the tiles of the full picture that the small `band` > 0 may reach."""
    down, across = band.shape[0] / size[0], band.shape[1] / size[1]
    for top in range(0, size[0], TILE_PX):
        rows = slice(max(0, int(top * down) - 1), int((top + TILE_PX) * down) + 2)
        for left in range(0, size[1], TILE_PX):
            columns = slice(max(0, int(left * across) - 1), int((left + TILE_PX) * across) + 2)
            if band[rows, columns].any():
                yield top, left
