import cv2
import numpy as np
import pytest

from rmbg_service.imaging.tiling import TILE_PX
from rmbg_service.matting.upsampling import make_opaque, refine, upsample
from rmbg_service.types import Matte

SIDE = 960
EDGE = 500  # not a multiple of the network's pixel, which is 3 px wide


def network_matte(side: int = 320, edge: float = EDGE / 3, softness: float = 3.0) -> Matte:
    """A matte as small networks give it: a soft vertical edge."""
    x = np.arange(side, dtype=np.float32) + 0.5
    row = np.clip((x - edge) / softness + 0.5, 0, 1)
    return np.tile(row, (side, 1)).astype(np.float32)


def two_colours() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    rgb = np.full((SIDE, SIDE, 3), (40, 60, 80), np.uint8)
    rgb[:, EDGE:] = (200, 150, 90)
    return rgb


def test_a_coarse_edge_snaps_to_the_pictures_edge() -> None:
    matte = network_matte(edge=EDGE / 3 + 1.2)  # 3.6 px off, and 9 px soft
    before, after = upsample(matte, (SIDE, SIDE)), refine(two_colours(), matte)
    truth = np.where(np.arange(SIDE) >= EDGE, 255, 0)
    assert np.abs(before[400] - truth).max() > 150
    assert np.abs(after[400] - truth).max() < 40


def test_strands_are_found_in_the_haze_that_the_network_saw() -> None:
    # Strands of hair: the network saw a wide haze, the colours tell what is hair and what is not.
    matte = network_matte(edge=EDGE / 3 - 10, softness=50)
    truth = np.zeros((SIDE, SIDE), bool)
    truth[:, EDGE:] = True
    truth[::24, EDGE - 60 :] = truth[1::24, EDGE - 60 :] = truth[2::24, EDGE - 60 :] = True
    rgb = np.where(truth[..., None], (90, 60, 40), (200, 210, 220)).astype(np.uint8)
    part = slice(300, 660), slice(EDGE - 60, EDGE + 60)
    before, after = upsample(matte, (SIDE, SIDE)), refine(rgb, matte)
    assert np.abs(after[part] / 255 - truth[part]).mean() < 0.15
    assert np.abs(before[part] / 255 - truth[part]).mean() > 0.3


def test_a_picture_without_an_edge_does_not_move_the_matte() -> None:
    matte = network_matte()
    grey = np.full((SIDE, SIDE, 3), 128, np.uint8)
    before, after = upsample(matte, (SIDE, SIDE)), refine(grey, matte)
    # It is steepened a little in the band, but crosses one half at the same place.
    assert np.argmax(after[400] > 127) == pytest.approx(np.argmax(before[400] > 127), abs=1)
    assert np.abs(after.astype(int) - before).max() < 80


def test_an_edge_that_does_not_explain_the_matte_is_ignored() -> None:
    stripes = np.zeros((SIDE, SIDE, 3), np.uint8)
    stripes[::24] = 255  # lines across the matte's edge
    matte = network_matte()
    before, after = upsample(matte, (SIDE, SIDE)), refine(stripes, matte)
    assert np.argmax(after[400] > 127) == pytest.approx(np.argmax(before[400] > 127), abs=2)


def test_what_the_network_is_sure_of_stays() -> None:
    matte = network_matte()
    noise = np.random.default_rng(3).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    alpha = refine(noise, matte)
    assert alpha[:, : EDGE - 30].max() == 0
    assert alpha[:, EDGE + 30 :].min() == 255


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_empty_and_a_full_matte_stay_so(value: float) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (300, 200, 3)).astype(np.uint8)
    alpha = refine(noise, np.full((320, 320), value, np.float32))
    assert (alpha == round(value * 255)).all()


def test_tiles_leave_no_seam() -> None:
    # A ramp along a grey wedge: neighbouring pixels never differ by much, across tiles neither.
    wedge = np.tile(np.linspace(0, 255, SIDE)[None, :, None], (SIDE, 1, 3)).astype(np.uint8)
    alpha = refine(wedge, network_matte(softness=200)).astype(int)
    steps = np.abs(np.diff(alpha, axis=1))
    assert steps[:, TILE_PX - 1 :: TILE_PX].max() <= steps.max() <= 6
    assert np.abs(np.diff(alpha, axis=0)).max() <= 2


@pytest.mark.parametrize("selective", [False, True])
@pytest.mark.parametrize(
    "size", [(1, 1), (1, 37), (37, 1), (2, 3), (129, 127), (5000, 1), (2, 5000)]
)
def test_odd_sizes(size: tuple[int, int], selective: bool) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (*size, 3)).astype(np.uint8)
    alpha = refine(rgb, network_matte(), selective=selective)
    assert alpha.shape == size
    assert alpha.dtype == np.uint8


def test_upsample_keeps_levels_and_orientation() -> None:
    matte = np.zeros((10, 20), np.float32)
    matte[:5] = 1
    matte[:, 15:] = 0.5
    alpha = upsample(matte, (100, 400))
    assert alpha.shape == (100, 400)
    assert (alpha[10, 100], alpha[90, 100], alpha[50, 380]) == (255, 0, 128)


def test_values_outside_the_range_are_clipped() -> None:
    matte = network_matte() * 3 - 1
    assert (refine(two_colours(), matte)[:, : EDGE - 30] == 0).all()


GLASS_SIZE = (400, 300)  # a rim of 2 px


def test_glass_becomes_opaque_and_its_edge_stays_soft() -> None:
    alpha = np.zeros(GLASS_SIZE, np.uint8)
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
    alpha = np.zeros(GLASS_SIZE, np.uint8)
    alpha[50:350, 100:103] = 120
    np.testing.assert_array_equal(make_opaque(alpha), alpha)


def test_an_opaque_subject_that_the_frame_cuts_off_keeps_its_alpha() -> None:
    alpha = np.zeros(GLASS_SIZE, np.uint8)
    alpha[:, :150] = 255
    np.testing.assert_array_equal(make_opaque(alpha), alpha)


def test_nothing_stays_nothing_and_everything_everything() -> None:
    for value in (0, 255):
        alpha = np.full(GLASS_SIZE, value, np.uint8)
        np.testing.assert_array_equal(make_opaque(alpha), alpha)
