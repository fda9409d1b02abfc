import math

import cv2
import numpy as np
import pytest

from rmbg_service.evaluation.edges import spoilt_edge, usable_edge, visibly_wrong
from rmbg_service.types import Matte


def blurred(matte: Matte, sigma: float) -> Matte:
    return np.asarray(cv2.GaussianBlur(matte, (0, 0), sigma), np.float32)


@pytest.fixture
def disc() -> Matte:
    y, x = np.mgrid[:800, :800]
    return np.asarray((x - 400) ** 2 + (y - 400) ** 2 < 250**2, np.float32)


@pytest.fixture
def hair() -> Matte:
    """A head with 200 soft strands, drawn at 8 times the size."""
    rng = np.random.default_rng(7)
    canvas = np.zeros((4800, 4800), np.uint8)
    cv2.circle(canvas, (2400, 2400), 1200, 255, -1)
    for angle in rng.uniform(0, 2 * np.pi, 200):
        outward = np.array([np.cos(angle), np.sin(angle)])
        side = np.array([-outward[1], outward[0]]) * rng.uniform(-600, 600)
        start, end = 2400 + 1100 * outward, 2400 + 1900 * outward + side
        cv2.line(canvas, start.astype(int).tolist(), end.astype(int).tolist(), 255, 6)
    return cv2.resize(canvas, (600, 600), interpolation=cv2.INTER_AREA) * np.float32(1 / 255)


def test_a_hard_edge_forgives_one_pixel_and_a_small_blur(disc: Matte) -> None:
    assert usable_edge(disc, disc).uea == 1
    assert usable_edge(np.roll(disc, 1, axis=1), disc).uea == 1
    assert usable_edge(blurred(disc, 2), disc).uea == 1


def test_a_hard_edge_shows_displacement_blur_and_growth(disc: Matte) -> None:
    grown = cv2.dilate(disc, np.ones((5, 5), np.uint8)).astype(np.float32)
    assert usable_edge(np.roll(disc, 3, axis=1), disc).uea < 0.25
    assert usable_edge(blurred(disc, 5), disc).uea == 0
    assert usable_edge(grown, disc).uea == 0


def test_a_larger_tolerance_forgives_more(disc: Matte) -> None:
    moved = np.roll(disc, 3, axis=1)
    assert usable_edge(moved, disc, tolerance_px=3).uea == 1


def test_soft_hair_must_stay_soft(hair: Matte) -> None:
    assert usable_edge(hair, hair).uea_hair == 1
    assert usable_edge((hair >= 0.5).astype(np.float32), hair).uea_hair < 0.4
    assert usable_edge(blurred(hair, 5), hair).uea_hair < 0.3


def test_hair_and_solid_edges_are_told_apart(disc: Matte) -> None:
    truth = np.zeros((800, 1200), np.float32)
    truth[:, :800] = disc
    prediction = truth.copy()
    truth[200:600, 900:1100:3] = 0.6  # a comb of half transparent threads, lost in the prediction
    assert math.isnan(usable_edge(disc, disc).uea_hair)
    report = usable_edge(prediction, truth)
    assert report.uea_hair == 0
    assert report.uea_solid > 0.2  # all of the disc's edge, but not the rim of the comb


def test_one_dent_spoils_the_runs_that_touch_it(disc: Matte) -> None:
    dented = disc.copy()
    dented[380:420, 640:] = 0  # the edge there is at x = 650
    edge_px = 1414  # pixels of an 8-connected circle of radius 250
    uea = usable_edge(dented, disc).uea
    assert 1 - 3 * 50 / edge_px <= uea <= 1 - 50 / edge_px


def test_a_hole_and_a_speck_far_from_the_edge_are_counted_apart(disc: Matte) -> None:
    holed = disc.copy()
    holed[390:410, 390:410] = 0
    holed[20:30, 20:30] = 1
    report = usable_edge(holed, disc)
    assert report.uea == 1
    assert 400 <= report.far_bad_px <= 1200


def test_the_picture_frame_is_no_edge() -> None:
    truth = np.zeros((200, 200), np.float32)
    truth[:, 100:] = 1
    wrong_at_the_frame = truth.copy()
    wrong_at_the_frame[:, 190:] = 0
    assert usable_edge(wrong_at_the_frame, truth).uea == 1
    assert math.isnan(usable_edge(truth, np.ones_like(truth)).uea)


def test_the_edge_level_finds_the_edge_of_glass(disc: Matte) -> None:
    assert math.isnan(usable_edge(disc * 0.3, disc * 0.3).uea)
    assert usable_edge(disc * 0.3, disc * 0.3, edge_level=0.1).uea == 1


def test_stair_steps_on_a_soft_edge_are_seen() -> None:
    soft = np.tile(np.linspace(0, 1, 100, dtype=np.float32), (60, 1))
    stairs = (np.round(soft * 2) / 2).astype(np.float32)
    assert not visibly_wrong(soft, soft, 1).any()
    assert visibly_wrong(stairs, soft, 1)[30].sum() >= 2


def test_the_shadow_region_is_the_edge_near_the_shadow(disc: Matte) -> None:
    shadow = np.zeros((800, 800), np.uint8)
    shadow[380:420, 660:760] = 255  # begins 10 px from the right end of the disc
    dented = disc.copy()
    dented[390:410, 640:] = 0
    elsewhere = np.fliplr(dented).copy()
    assert math.isnan(usable_edge(disc, disc).uea_shadow)
    assert math.isnan(usable_edge(disc, disc, shadow=shadow * 0).uea_shadow)
    assert usable_edge(disc, disc, shadow=shadow).uea_shadow == 1
    assert usable_edge(dented, disc, shadow=shadow).uea_shadow < 0.5
    assert usable_edge(elsewhere, disc, shadow=shadow).uea_shadow == 1


def test_the_spoilt_edge_lies_on_the_contour_beside_the_error(disc: Matte) -> None:
    dented = disc.copy()
    dented[380:420, 640:] = 0
    ys, xs = np.nonzero(spoilt_edge(dented, disc))
    assert len(ys) >= 30
    assert np.abs(np.hypot(xs - 400, ys - 400) - 250).max() < 1.5
    assert ys.min() > 350
    assert ys.max() < 450
    assert not spoilt_edge(disc, disc).any()
