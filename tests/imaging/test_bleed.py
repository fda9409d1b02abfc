import numpy as np
import pytest

from rmbg_service.imaging import bleed
from rmbg_service.imaging.bleed import REACH_PX, extend_colours


def test_the_subject_s_colours_extend_beyond_its_edge_and_the_background_is_gone() -> None:
    rgb = np.full((40, 100, 3), (0, 200, 0), np.uint8)  # the old background
    rgb[:, :30] = (180, 40, 20)
    alpha = np.zeros((40, 100), np.uint8)
    alpha[:, :30] = 255
    alpha[:, 29] = 90
    filled = extend_colours(rgb, alpha)
    assert (filled[:, :30] == rgb[:, :30]).all()
    assert (np.abs(filled[:, 30 : 29 + REACH_PX].astype(int) - (180, 40, 20)) <= 1).all()
    assert (filled[:, 31 + REACH_PX :] == 0).all()


def test_without_a_subject_all_is_black() -> None:
    rgb = np.full((20, 20, 3), 90, np.uint8)
    assert (extend_colours(rgb, np.zeros((20, 20), np.uint8)) == 0).all()


def test_it_is_the_same_in_one_tile_and_in_many(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 256, (300, 400, 3), np.uint8)
    alpha = np.zeros((300, 400), np.uint8)
    alpha[100:160, 110:270] = rng.integers(0, 256, (60, 160), np.uint8)
    in_tiles = extend_colours(rgb, alpha)
    monkeypatch.setattr(bleed, "tiles", lambda size: [(slice(0, size[0]), slice(0, size[1]))])
    at_once = extend_colours(rgb, alpha)
    assert np.abs(in_tiles.astype(int) - at_once).max() <= 1  # sums of another order
