import numpy as np

from rmbg_service.video.colours import REACH_PX, spread


def test_the_subject_goes_on_beyond_its_edge_and_the_background_is_gone() -> None:
    rgb = np.full((40, 100, 3), (0, 200, 0), np.uint8)  # the old background
    rgb[:, :30] = (180, 40, 20)
    alpha = np.zeros((40, 100), np.uint8)
    alpha[:, :30] = 255
    alpha[:, 29] = 90
    filled = spread(rgb, alpha)
    assert (filled[:, :30] == rgb[:, :30]).all()
    assert (np.abs(filled[:, 30 : 29 + REACH_PX].astype(int) - (180, 40, 20)) <= 1).all()
    assert (filled[:, 31 + REACH_PX :] == 0).all()


def test_without_a_subject_all_is_black() -> None:
    rgb = np.full((20, 20, 3), 90, np.uint8)
    assert (spread(rgb, np.zeros((20, 20), np.uint8)) == 0).all()
