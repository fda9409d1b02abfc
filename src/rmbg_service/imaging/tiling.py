"""Large pictures in parts, so that temporary arrays stay small."""

from collections.abc import Iterator
from itertools import product
from typing import TypeAlias

TILE_PX = 128
"""Side of a tile."""

BAND_ROWS = 64
"""Rows of a band."""

Tile: TypeAlias = tuple[slice, slice]
"""Rows and columns of a part of a picture, to index its arrays with."""


def bands(height: int) -> Iterator[slice]:
    """The rows of a picture of `height` rows, a band at a time."""
    for top in range(0, height, BAND_ROWS):
        yield slice(top, min(top + BAND_ROWS, height))


def tiles(size: tuple[int, ...]) -> Iterator[Tile]:
    """The tiles of a picture of `size`, `(height, width)`, row by row."""
    height, width = size[:2]
    for top, left in product(range(0, height, TILE_PX), range(0, width, TILE_PX)):
        yield (
            slice(top, min(top + TILE_PX, height)),
            slice(left, min(left + TILE_PX, width)),
        )
