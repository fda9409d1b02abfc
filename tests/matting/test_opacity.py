import cv2
import numpy as np

from rmbg_service.matting.opacity import make_opaque

SIZE = (400, 300)  # a rim of 2 px


def test_glass_becomes_opaque_and_its_edge_stays_soft() -> None:
    alpha = np.zeros(SIZE, np.uint8)
    alpha[100:300, 80:220] = 90
    alpha = cv2.GaussianBlur(alpha, (0, 0), 1.5).astype(np.uint8)
    opaque = make_opaque(alpha)
    assert (opaque[115:285, 95:205] == 255).all()
    assert (opaque[alpha < 38] == alpha[alpha < 38]).all()
    assert (opaque >= alpha).all()
    profile = opaque[200, 75:95].astype(int)
    assert (np.diff(profile) >= 0).all()
    assert np.diff(profile).max() < 160  # a ramp, not a step


def test_strands_thinner_than_the_rim_stay_as_they_are() -> None:
    alpha = np.zeros(SIZE, np.uint8)
    alpha[50:350, 100:103] = 120
    np.testing.assert_array_equal(make_opaque(alpha), alpha)


def test_an_opaque_subject_that_the_frame_cuts_off_keeps_its_alpha() -> None:
    alpha = np.zeros(SIZE, np.uint8)
    alpha[:, :150] = 255
    np.testing.assert_array_equal(make_opaque(alpha), alpha)


def test_nothing_stays_nothing_and_everything_everything() -> None:
    for value in (0, 255):
        alpha = np.full(SIZE, value, np.uint8)
        np.testing.assert_array_equal(make_opaque(alpha), alpha)
