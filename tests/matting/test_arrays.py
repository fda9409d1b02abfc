import cv2
import numpy as np
import pytest

from rmbg_service.imaging.tiling import tiles
from rmbg_service.matting.arrays import (
    PairWindow,
    channel_max,
    channel_mean,
    merge,
    reached_parts,
    resize,
    split,
    touched_part,
    touched_tiles,
    vector_length,
    window,
)

SIZE = (300, 400)


def test_split_and_merge_are_inverse() -> None:
    planes = np.random.default_rng(0).random((5, 7, 3), np.float32)
    assert (merge(split(planes)) == planes).all()


def test_means_and_maxima_of_channels_are_those_along_the_last_axis() -> None:
    planes = np.random.default_rng(0).normal(0, 1, (50, 70, 3)).astype(np.float32)
    levels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    assert (channel_mean(planes) == planes.mean(axis=2)).all()
    assert (channel_max(planes) == planes.max(axis=2)).all()
    assert (channel_max(levels) == levels.max(axis=2)).all()
    assert channel_max(levels).dtype == np.uint8


def test_the_length_of_vectors_does_not_depend_on_where_they_lie_in_memory() -> None:
    for offset in range(4):
        across, down = np.random.default_rng(0).random((2, 1_003), np.float32)
        shifted = [np.empty(1_007, np.float32)[offset:][:1_003] for _ in range(2)]
        np.copyto(shifted[0], across)
        np.copyto(shifted[1], down)
        assert (vector_length(*shifted) == np.sqrt(across * across + down * down)).all()


def test_windows_are_the_parts_of_the_enlarged_planes() -> None:
    planes = np.random.default_rng(0).random((30, 40, 2), np.float32)
    whole = cv2.resize(planes, SIZE[::-1], interpolation=cv2.INTER_LINEAR)
    for tile in tiles(SIZE):
        assert np.abs(window(planes, SIZE, tile) - whole[tile]).max() < 0.05  # of a range of 1


@pytest.mark.parametrize("small", [(30, 40), (47, 33), (300, 400)])
def test_a_part_of_a_window_has_the_values_of_the_whole(small: tuple[int, int]) -> None:
    planes = np.random.default_rng(0).random((*small, 2), np.float32)
    pair = PairWindow(planes, SIZE)
    for rows, columns in tiles(SIZE):
        whole = pair.read((rows, columns), (rows, columns))
        assert np.abs(whole - window(planes, SIZE, (rows, columns))).mean() < 1e-3
        part = (slice(rows.start + 3, rows.stop - 5), slice(columns.start + 7, columns.stop - 2))
        assert (pair.read((rows, columns), part) == whole[3:-5, 7:-2]).all()


@pytest.mark.parametrize("size", [SIZE, (30, 40), (31, 1000), (1000, 30)])
def test_all_that_a_band_reaches_lies_in_the_parts(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    for count in (20, 1):
        band = np.zeros((30, 40), np.float32)
        band[rng.integers(30, size=count), rng.integers(40, size=count)] = 1
        outside = np.ones(size, bool)
        for tile, part in reached_parts(band, size):
            assert all(
                t.start <= p.start < p.stop <= t.stop for t, p in zip(tile, part, strict=True)
            )
            outside[part] = False
        pair = PairWindow(merge([band, band]), size)
        for tile in tiles(size):
            assert not pair.read(tile, tile)[outside[tile]].any()
    assert outside.any()


def test_only_tiles_that_the_band_reaches_are_touched() -> None:
    band = np.zeros((30, 40), np.float32)
    band[2, 2] = 1
    assert list(touched_tiles(band, SIZE)) == [(slice(0, 128), slice(0, 128))]
    assert not list(touched_tiles(np.zeros_like(band), SIZE))
    assert list(touched_tiles(np.ones_like(band), SIZE)) == list(tiles(SIZE))


def test_the_touched_part_of_a_tile_has_a_margin_of_a_pixel_inside_the_plane() -> None:
    band = np.zeros((200, 300), np.float32)
    band[5:8, 40] = band[0, 130] = 1
    first, second, *_ = tiles(band.shape)
    assert touched_part(band, first) == (slice(4, 9), slice(39, 42))
    assert touched_part(band, second) == (slice(0, 2), slice(129, 132))


@pytest.mark.parametrize("size", [(10, 10), (40, 90), (20, 30)])
def test_float_values_stay_in_their_range(size: tuple[int, int]) -> None:
    checks = (np.indices((20, 30)).sum(axis=0) % 2).astype(np.float32)
    resized = resize(checks, size)
    assert resized.shape == size
    assert resized.min() >= 0
    assert resized.max() <= 1
    assert resize(checks, (20, 30)) is checks
