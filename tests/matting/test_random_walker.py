import numpy as np
import pytest

from rmbg_service.matting.random_walker import grid_of, walk
from rmbg_service.types import Matte


def two_halves(
    height: int = 40, width: int = 60
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    lab = np.full((height, width, 3), (90, 120, 130), np.uint8)
    lab[:, width // 2 :] = (170, 140, 100)
    return lab


def even(strength: float, shape: tuple[int, int] = (40, 60)) -> Matte:
    return np.full(shape, strength, np.float32)


def test_labels_spread_to_the_edge_and_stop_there() -> None:
    lab = two_halves()
    seeds, start = np.zeros((40, 60), bool), np.zeros((40, 60), np.float32)
    seeds[20, 5] = seeds[20, 55] = True
    start[20, 5] = 1
    label = walk(grid_of(lab), even(0.5), even(1e-4), seeds, start)
    assert label[:, :30].min() > 0.9
    assert label[:, 30:].max() < 0.1
    assert (label[20, 5], label[20, 55]) == (1, 0), "seeds keep their values"


def test_without_seeds_the_prior_decides() -> None:
    prior = np.zeros((40, 60), np.float32)
    prior[:, :30] = 1
    none = np.zeros((40, 60), bool)
    label = walk(grid_of(two_halves()), prior, even(1.0), none, even(0.5))
    assert np.abs(label - prior).max() < 0.1


def test_a_thin_line_of_strong_priors_stops_a_label() -> None:
    lab, prior, strength = np.full((40, 60, 3), 100, np.uint8), even(0.5), even(1e-6)
    prior[:, 30:32], strength[:, 30:32] = 0, 1
    seeds = np.zeros((40, 60), bool)
    seeds[:, :5] = seeds[:, -5:] = True
    label = walk(grid_of(lab), prior, strength, seeds, seeds.astype(np.float32))
    assert label[:, 30:32].max() < 0.4
    assert label[:, :15].min() > 0.6


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1)])
def test_narrow_and_plain_pictures(shape: tuple[int, int]) -> None:
    lab = np.full((*shape, 3), 100, np.uint8)
    seeds = np.zeros(shape, bool)
    seeds[0, 0] = True
    start = seeds.astype(np.float32)
    label = walk(grid_of(lab), even(0, shape), even(1e-3, shape), seeds, start)
    assert label[0, 0] == 1
    assert np.isfinite(label).all()
