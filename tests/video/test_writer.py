import numpy as np

from rmbg_service.video.writer import BLOCK_PX, extend_colours


def test_the_subject_s_colours_extend_beyond_its_edge_and_the_background_is_gone() -> None:
    rgb = np.full((40, 100, 3), (0, 200, 0), np.uint8)  # the old background
    rgb[:, :30] = (180, 40, 20)
    alpha = np.zeros((40, 100), np.uint8)
    alpha[:, :30] = 255
    alpha[:, 29] = 90
    filled = extend_colours(rgb, alpha)
    assert (filled[:, :30] == rgb[:, :30]).all()
    assert (np.abs(filled[:, 30 : 29 + BLOCK_PX].astype(int) - (180, 40, 20)) <= 1).all()
    assert (filled[:, 31 + BLOCK_PX :] == 0).all()


def test_without_a_subject_all_is_black() -> None:
    rgb = np.full((20, 20, 3), 90, np.uint8)
    assert (extend_colours(rgb, np.zeros((20, 20), np.uint8)) == 0).all()
