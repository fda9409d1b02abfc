"""Large images in parts of bounded area, so that temporary arrays stay small in any shape."""

from collections.abc import Iterator
from itertools import product
from typing import TypeAlias

TILE_PX = 128
"""Side of a tile of an image that is larger in both directions."""

TILE_AREA = TILE_PX**2
BAND_ROWS = 64
MAX_BAND, MIN_BAND = BAND_ROWS * 4096, BAND_ROWS * 64
"""Pixels of a band in very wide and very narrow images."""

Tile: TypeAlias = tuple[slice, slice]
"""Rows and columns of a part of an image, to index its arrays with."""


def band_rows(width: int) -> int:
    """Rows of a band: 64, or fewer in a very wide image and more in a very narrow one."""
    return max(1, MIN_BAND // width, min(BAND_ROWS, MAX_BAND // width))


def bands(size: tuple[int, ...]) -> Iterator[slice]:
    """The rows of an image of `size`, `(height, width)`, a band at a time."""
    height, width = size[:2]
    step = band_rows(width)
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


def tiles(size: tuple[int, ...]) -> Iterator[Tile]:
    """The tiles of an image of `size`, `(height, width)`, row by row.

    They are squares; along an image narrower than a tile they are longer, with the same area.
    """
    height, width = size[:2]
    down = max(TILE_PX, TILE_AREA // width)
    across = max(TILE_PX, TILE_AREA // height)
    for top, left in product(range(0, height, down), range(0, width, across)):
        yield slice(top, min(top + down, height)), slice(left, min(left + across, width))
