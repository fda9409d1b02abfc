import numpy as np
import pytest

from rmbg_service.imaging.tiling import bands, tiles


@pytest.mark.parametrize("size", [(1, 1), (64, 128), (129, 300), (1, 5000), (5000, 1)])
def test_every_pixel_is_in_one_tile_and_every_row_in_one_band(size: tuple[int, int]) -> None:
    count = np.zeros(size, int)
    for tile in tiles(size):
        count[tile] += 1
    assert (count == 1).all()
    rows = np.zeros(size[0], int)
    for band in bands(size[0]):
        rows[band] += 1
    assert (rows == 1).all()
