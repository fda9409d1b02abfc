import numpy as np
import pytest

from rmbg_service.imaging.tiling import (
    MAX_BAND,
    MIN_BAND,
    TILE_AREA,
    band_rows,
    bands,
    tiles,
)


@pytest.mark.parametrize("size", [(1, 1), (64, 128), (129, 300), (1, 5000), (5000, 1)])
def test_every_pixel_is_in_one_tile_and_every_row_in_one_band(size: tuple[int, int]) -> None:
    count = np.zeros(size, int)
    for tile in tiles(size):
        count[tile] += 1
    assert (count == 1).all()
    rows = np.zeros(size[0], int)
    for band in bands(size):
        rows[band] += 1
    assert (rows == 1).all()


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (16, 60_000), (763, 65_500)])
def test_parts_are_few_and_small_in_every_shape(size: tuple[int, int]) -> None:
    pixels = size[0] * size[1]
    areas = [
        (rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in tiles(size)
    ]
    assert max(areas) <= TILE_AREA
    assert len(areas) <= 2 * pixels / TILE_AREA + 1
    steps = [rows.stop - rows.start for rows in bands(size)]
    assert max(steps) * size[1] <= MAX_BAND
    assert len(steps) <= 2 * pixels / MIN_BAND + 1


def test_bands_of_ordinary_widths_have_64_rows() -> None:
    assert {band_rows(width) for width in (64, 1000, 4096)} == {64}
