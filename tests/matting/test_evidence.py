"""Which edges a selective refinement leaves alone, and which it improves."""

import cv2
import numpy as np
import pytest

from rmbg_service.matting.arrays import UNIT
from rmbg_service.matting.evidence import (
    GUIDE_SIDE_PX,
    HAZY,
    HAZY_TO_SOFT,
    MATCHED_PX,
    MISMATCHED_PX,
    SHARP,
    SOFT,
    gradient_length,
    local_fit,
    mismatch,
    ramp_width,
    sharpness,
    weigh,
)
from rmbg_service.matting.upsampling import looseness, refine, to_full_size, upsample
from rmbg_service.types import Matte, RgbImage

SIDE = 1024
EDGE = 400
SUBJECT, BACKGROUND = (90, 60, 40), (200, 210, 220)


def soft_edge(side: int, edge: float, softness: float) -> Matte:
    """A vertical edge, `softness` px wide."""
    x = np.arange(side, dtype=np.float32) + 0.5
    row = np.clip((x - edge) / softness + 0.5, 0, 1)
    return np.tile(row, (side, 1)).astype(np.float32)


def picture(subject: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> RgbImage:
    return np.where(subject[..., None], SUBJECT, BACKGROUND).astype(np.uint8)


def half(side: int, edge: int) -> RgbImage:
    subject = np.zeros((side, side), bool)
    subject[:, edge:] = True
    return picture(subject)


def strands() -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.bool_]], Matte]:
    """A subject with strands of hair on its left, and the haze in which a network sees them."""
    subject = np.zeros((SIDE, SIDE), bool)
    subject[:, EDGE:] = True
    for row in range(16):
        subject[row::32, EDGE - 60 :] = True
    return subject, cv2.GaussianBlur(subject.astype(np.float32), (0, 0), 8).astype(np.float32)


@pytest.mark.parametrize(("softness", "loose"), [(3.0, 0), (6.75, 0.5), (12.0, 1)])
def test_an_edge_is_as_loose_as_it_is_wide(softness: float, loose: float) -> None:
    found = looseness(soft_edge(320, 166.7, softness))
    assert found[160, 167] == pytest.approx(loose, abs=0.1)
    assert found[160, 20] == found[160, 300] == 0  # far from any edge


@pytest.mark.parametrize("softness", [1, 2, 5, 12])
def test_the_width_of_a_ramp(softness: float) -> None:
    edge = soft_edge(320, 160.5, softness)
    width = ramp_width(edge, gradient_length(edge))
    assert width[160, 160] == pytest.approx(max(softness, 2), abs=1.1)
    assert width[160, 20] == 0  # far from any edge


@pytest.mark.parametrize("offset", [-1.0, 0.0, 0.4, 1.0])
def test_a_tight_edge_stays_to_the_last_pixel(offset: float) -> None:
    matte = soft_edge(SIDE, EDGE + offset, 1)
    alpha = refine(half(SIDE, EDGE), matte, selective=True)
    assert (alpha == upsample(matte, (SIDE, SIDE))).all()


def test_a_loose_edge_is_drawn_from_the_colours() -> None:
    subject, haze = strands()
    part = slice(300, 660), slice(EDGE - 60, EDGE)
    before, after = upsample(haze, (SIDE, SIDE)), refine(picture(subject), haze, selective=True)
    assert np.abs(before[part] / 255 - subject[part]).mean() > 0.35
    assert np.abs(after[part] / 255 - subject[part]).mean() < 0.2


def test_a_tight_edge_beside_a_loose_one_stays() -> None:
    subject, matte = strands()
    tight = slice(SIDE - 320, None)
    subject[tight] = np.arange(SIDE) >= SIDE // 2
    matte[tight] = soft_edge(SIDE, SIDE / 2, 1)[tight]
    alpha, plain = refine(picture(subject), matte, selective=True), upsample(matte, (SIDE, SIDE))
    assert (alpha != plain)[: SIDE - 360].any()
    assert (alpha == plain)[SIDE - 280 :].all()


def test_the_coarse_edge_of_a_large_picture_snaps_to_the_pictures_edge() -> None:
    side, edge = 3072, 1500
    matte = soft_edge(512, (edge + 7) / 6, 2)  # tight for the network, 12 px wide in the picture
    before = upsample(matte, (side, side))
    after = refine(half(side, edge), matte, selective=True)
    truth = np.where(np.arange(side) >= edge, 255, 0)
    assert np.abs(after[1500] - truth).sum() < 0.4 * np.abs(before[1500] - truth).sum()


def test_a_coarse_edge_that_the_colours_do_not_explain_stays() -> None:
    stripes = np.zeros((3072, 3072, 3), np.uint8)
    stripes[::72] = 255  # lines across the matte's edge
    matte = soft_edge(512, 200, 1)
    alpha = refine(stripes, matte, selective=True)
    assert (alpha == upsample(matte, (3072, 3072))).all()


def test_a_wide_edge_without_colours_is_steepened_where_it_is() -> None:
    grey = np.full((SIDE, SIDE, 3), 128, np.uint8)
    matte = soft_edge(SIDE, EDGE, 20)
    before, after = upsample(matte, (SIDE, SIDE)), refine(grey, matte, selective=True)
    assert np.argmax(after[400] > 127) == pytest.approx(np.argmax(before[400] > 127), abs=1)
    assert (after[400, EDGE + 5 : EDGE + 10] > before[400, EDGE + 5 : EDGE + 10]).all()


@pytest.mark.parametrize("shape", [(4000, 40), (40, 4000)])
def test_extreme_shapes(shape: tuple[int, int]) -> None:
    rgb = np.random.default_rng(5).integers(0, 256, (*shape, 3)).astype(np.uint8)
    matte = soft_edge(SIDE, EDGE, 30)
    alpha = refine(rgb, matte, selective=True)
    assert alpha.shape == shape
    assert alpha.min() == 0
    assert alpha.max() == 255


def test_the_planes_lie_between_0_and_1_and_change_whatever_they_fit() -> None:
    subject, haze = strands()
    found = weigh(haze, picture(subject), SIDE)
    for plane in found[:3]:
        assert plane.min() >= 0
        assert plane.max() <= 1
    assert (found.changed >= found.fitted).all()
    assert found.loose.shape == (GUIDE_SIDE_PX, GUIDE_SIDE_PX)
    assert found.loose.max() > 0.5


def soft_picture(matte: Matte) -> RgbImage:
    mixed = matte[..., None] * np.array(SUBJECT) + (1 - matte[..., None]) * np.array(BACKGROUND)
    return np.asarray(np.rint(mixed), np.uint8)


def test_a_soft_edge_that_the_picture_has_too_stays_to_the_last_pixel() -> None:
    matte = soft_edge(SIDE, EDGE, 12)  # glass or motion blur, drawn as it is
    alpha = refine(soft_picture(matte), matte, selective=True)
    assert (alpha == upsample(matte, (SIDE, SIDE))).all()


def test_strands_that_the_network_draws_stay_to_the_last_pixel() -> None:
    subject, _ = strands()
    drawn = cv2.GaussianBlur(subject.astype(np.float32), (0, 0), 1.5).astype(np.float32)
    alpha = refine(soft_picture(drawn), drawn, selective=True)
    assert (alpha == upsample(drawn, (SIDE, SIDE))).all()


def test_the_mismatch_grows_with_the_distance_between_the_edges() -> None:
    guide = soft_picture(soft_edge(SIDE, EDGE, 2)) * UNIT
    size = GUIDE_SIDE_PX, GUIDE_SIDE_PX
    mattes = [soft_edge(SIDE, EDGE + px, 2) for px in (0, 2, 4)]
    found = []
    for matte in mattes:
        gradient = gradient_length(matte)
        local = local_fit(matte, gradient, guide)
        found.append(float(mismatch(matte, gradient, local, size).max()))
    assert found[0] < MATCHED_PX < MISMATCHED_PX < found[1] < found[2]


def test_a_matte_without_an_edge_has_no_mismatch() -> None:
    guide = half(SIDE, EDGE) * UNIT
    empty = np.zeros((SIDE, SIDE), np.float32)
    gradient = gradient_length(empty)
    local = local_fit(empty, gradient, guide)
    assert not mismatch(empty, gradient, local, (9, 9)).any()
    assert sharpness(empty, local) == 1


def test_an_evenly_soft_matte_gets_no_wide_windows_and_a_crisp_displaced_one_does() -> None:
    subject, haze = strands()
    image = picture(subject)
    drawn = subject.astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(drawn, (0, 0), 1.25), np.float32)
    crisp = np.roll(np.asarray(cv2.GaussianBlur(drawn, (0, 0), 0.7), np.float32), 6, axis=0)
    found = [
        sharpness(matte, local_fit(matte, gradient_length(matte), image * UNIT))
        for matte in (haze, soft, crisp)
    ]
    assert found[0] < HAZY < HAZY_TO_SOFT < found[1] < SOFT < SHARP < found[2]
    assert [weigh(matte, image, SIDE).coarse for matte in (haze, soft, crisp)] == [1, 0, 1]


def test_each_refinement_of_a_matte() -> None:
    subject, haze = strands()
    rgb = picture(subject)
    assert (to_full_size(rgb, haze, "plain") == upsample(haze, (SIDE, SIDE))).all()
    assert (to_full_size(rgb, haze, "guided") == refine(rgb, haze)).all()
    assert (to_full_size(rgb, haze, "selective") == refine(rgb, haze, selective=True)).all()
