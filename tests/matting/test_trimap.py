"""The band that a matting network decides, and its tiles."""

import tracemalloc

import cv2
import numpy as np
import pytest

from rmbg_service.imaging.tiling import Tile
from rmbg_service.matting import trimap
from rmbg_service.matting.trimap import (
    BACKGROUND,
    FOREGROUND,
    STEP_PX,
    TILE_PX,
    UNKNOWN,
    Band,
)
from rmbg_service.matting.upsampling import SURE_MARGIN, upsample
from rmbg_service.types import Matte

SIZE = (900, 1_300)


def disc(side: int = 100, soft: float = 4.0) -> Matte:
    """A disc in the middle whose edge is `soft` px wide."""
    y, x = np.mgrid[:side, :side] + 0.5
    distance = side / 4 - np.hypot(y - side / 2, x - side / 2)
    return np.asarray(np.clip(distance / soft + 0.5, 0, 1), np.float32)


def everything(size: tuple[int, int]) -> Tile:
    return slice(0, size[0]), slice(0, size[1])


def test_the_trimap_is_the_matte_where_that_is_sure_and_unknown_around_what_is_not() -> None:
    matte = disc()
    found = Band(matte, SIZE).trimap(everything(SIZE))
    small = cv2.resize(matte, SIZE[::-1], interpolation=cv2.INTER_NEAREST)
    unsure = (small > SURE_MARGIN) & (small < 1 - SURE_MARGIN)
    assert set(np.unique(found)) == {BACKGROUND, UNKNOWN, FOREGROUND}
    assert (found[unsure] == UNKNOWN).all()
    assert (small[found == FOREGROUND] == 1).all()
    assert (small[found == BACKGROUND] == 0).all()


@pytest.mark.parametrize("size", [(100, 100), (400, 400), (3_000, 3_000), (50, 50)])
def test_the_band_is_as_wide_as_the_pixels_of_the_matte(size: tuple[int, int]) -> None:
    """A hard edge has no unsure pixel; its band is 2 px of the matte on either side, or 4 px."""
    matte = np.zeros((100, 100), np.float32)
    matte[:, 50:] = 1
    middle = slice(size[0] // 2, size[0] // 2 + 1), slice(0, size[1])
    (columns,) = np.nonzero(Band(matte, size).unknown(middle)[0])
    reach = max(3 * size[1] / 100, 5)  # the contour itself is a pixel on either side
    assert columns[0] == pytest.approx(size[1] / 2 - reach, abs=2)
    assert columns[-1] == pytest.approx(size[1] / 2 + reach - 1, abs=2)


@pytest.mark.parametrize("size", [(100, 400), (400, 100), (40, 3_000), (50, 100)])
@pytest.mark.parametrize("axis", [0, 1])
def test_the_band_of_a_squeezed_image_has_its_width_along_each_axis(
    size: tuple[int, int], axis: int
) -> None:
    matte = np.zeros((100, 100), np.float32)
    matte[50:] = 1
    unknown = Band(matte if axis == 0 else matte.T, size).unknown(everything(size))
    (band,) = np.nonzero(unknown.any(axis=1 - axis))
    reach = max(3 * size[axis] / 100, 5)  # the contour itself is a pixel on either side
    assert band[0] == pytest.approx(size[axis] / 2 - reach, abs=1)
    assert band[-1] == pytest.approx(size[axis] / 2 + reach - 1, abs=1)


@pytest.mark.parametrize("size", [(1, 1), (20, 20), (300, 3), (3, 300), (3, 2_000)])
def test_a_matte_much_larger_than_its_image_costs_no_more(size: tuple[int, int]) -> None:
    """At the size of the matte, the reach of 4 px of an image of one pixel is thousands of px."""
    assert Band(disc(1_024, soft=40), size).unknown(everything(size)).any()


def test_the_band_of_a_tiny_image_reaches_4_px_of_it() -> None:
    found = Band(disc(1_024), (40, 40)).trimap(everything((40, 40)))
    assert found[0, 0] == BACKGROUND
    assert found[20, 20] == FOREGROUND
    assert (found[20] == UNKNOWN).sum() == pytest.approx(2 * (2 * 4 + 1), abs=4)


def test_a_wider_unsure_area_is_unknown_as_a_whole() -> None:
    matte = np.full((40, 40), 0.5, np.float32)
    band = Band(matte, SIZE)
    assert band.unknown(everything(SIZE)).all()
    assert (band.trimap(everything(SIZE)) == UNKNOWN).all()


@pytest.mark.parametrize("size", [(1, 1), (512, 512), (513, 832), (833, 511), SIZE])
def test_tiles_cover_every_unknown_pixel_with_a_weight_of_one(size: tuple[int, int]) -> None:
    """A network that says 1 everywhere: its matte is 1 wherever it decides, and nowhere else."""
    matte = np.full((10, 10), 0.5, np.float32)
    band = Band(matte, size)
    tiles = list(band.tiles())
    for tile in tiles:
        height, width = (side.stop - side.start for side in tile)
        assert max(height, width) <= TILE_PX
        assert tile[0].start % 32 == tile[1].start % 32 == 0
        band.add(tile, np.ones((height, width), np.float32))
    assert (band.finish() == 255).all()
    down, across = (max(0, -(-(side - TILE_PX) // STEP_PX)) + 1 for side in size)
    assert len(tiles) == down * across


def test_only_tiles_with_unknown_pixels_are_made() -> None:
    size = (3_000, 3_000)
    band = Band(disc(300), size)
    tiles = list(band.tiles())
    assert 0 < len(tiles) < 81 / 2  # of nine by nine
    for tile in tiles:
        assert band.unknown(tile).any()
    corner = np.zeros((30, 30), np.float32)
    assert not list(Band(corner, size).tiles())


def test_sure_regions_stay_as_the_matte_was() -> None:
    matte = disc()
    matte[:10, :10] = 0.01  # sure, though not exactly background
    band = Band(matte, SIZE)
    for tile in band.tiles():
        height, width = (side.stop - side.start for side in tile)
        band.add(tile, np.full((height, width), 0.3, np.float32))
    alpha, unknown = band.finish(), band.unknown(everything(SIZE))
    assert (alpha[~unknown] == upsample(matte, SIZE)[~unknown]).all()
    assert (alpha[unknown] == round(0.3 * 255)).all()
    assert alpha[0, 0] == 3


def test_where_tiles_disagree_the_step_is_spread_over_the_ramp() -> None:
    """The largest step between neighbours is the disagreement over the ramp, and its rounding."""
    size = (300, 1_400)
    band = Band(np.full((10, 10), 0.5, np.float32), size)
    for place, tile in enumerate(band.tiles()):
        height, width = (side.stop - side.start for side in tile)
        band.add(tile, np.full((height, width), place % 2, np.float32))
    steps = np.abs(np.diff(band.finish().astype(int), axis=1))
    assert steps.max() <= 255 / trimap.RAMP_PX + 1


def test_memory_is_three_bytes_a_pixel_and_does_not_grow_with_the_tiles() -> None:
    size = (4_000, 6_000)
    matte = disc(400)
    tracemalloc.start()
    try:
        band = Band(matte, size)
        for tile in band.tiles():
            found = band.trimap(tile)
            band.add(tile, (found / 255).astype(np.float32))
        alpha = band.finish()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert alpha.shape == size
    assert peak < 3.2 * size[0] * size[1] + 16 * TILE_PX**2 + 10_000_000
