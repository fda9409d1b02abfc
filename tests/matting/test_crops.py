import numpy as np
import pytest

from rmbg_service.matting.crops import blend, detail_gain, plan_crops, subject_box
from rmbg_service.matting.plan import DetailPlan, plan_detail, to_full_size
from rmbg_service.matting.upsampling import refine, upsample
from rmbg_service.matting.views import View
from rmbg_service.types import Box, Matte

INPUT = (320, 320)


def rectangle(top: int, left: int, bottom: int, right: int, side: int = 320) -> Matte:
    """A subject with a rim the network was not sure of."""
    matte = np.zeros((side, side), np.float32)
    matte[top - 1 : bottom + 1, left - 1 : right + 1] = 0.5
    matte[top:bottom, left:right] = 1
    return matte


def test_the_box_holds_the_subject_and_a_margin_in_pixels_of_the_picture() -> None:
    # 32 of 320 columns and 64 of 320 rows of a 4000 x 2000 picture, 30 % more on each side.
    assert subject_box(rectangle(128, 160, 192, 192), (2000, 4000)) == Box(1880, 680, 2520, 1320)


def test_the_box_ends_at_the_picture() -> None:
    assert subject_box(np.ones((320, 320), np.float32), (70, 90)) == Box(0, 0, 90, 70)


def test_nothing_found_means_no_second_pass() -> None:
    empty = np.full((320, 320), 0.2, np.float32)
    assert subject_box(empty, (1000, 1000)) is None
    assert plan_crops(empty, (1000, 1000), INPUT) == []


@pytest.mark.parametrize(
    ("matte", "size"),
    [
        (rectangle(10, 10, 310, 310), (1200, 1200)),  # fills the picture
        (rectangle(128, 128, 192, 192), (320, 320)),  # the network has seen every pixel
    ],
)
def test_no_second_pass_without_more_detail(matte: Matte, size: tuple[int, int]) -> None:
    assert plan_crops(matte, size, INPUT) == []


def test_a_small_subject_gets_one_box() -> None:
    matte = rectangle(128, 128, 192, 192)
    assert plan_crops(matte, (1500, 1500), INPUT) == [subject_box(matte, (1500, 1500))]


def test_the_gain_of_a_box_ends_where_the_network_sees_every_pixel() -> None:
    assert detail_gain(Box(0, 0, 500, 400), (1000, 1500), INPUT) == pytest.approx(3)
    assert detail_gain(Box(0, 0, 100, 100), (400, 300), INPUT) == pytest.approx(1.25)
    assert detail_gain(Box(0, 0, 100, 100), (200, 200), INPUT) == 1


def test_a_large_box_is_cut_into_overlapping_tiles_that_hold_an_edge() -> None:
    matte = rectangle(40, 40, 280, 280)
    boxes = plan_crops(matte, (6000, 6000), INPUT)
    assert len(boxes) == 8  # of 3 x 3; the one in the middle is all subject
    covered = np.zeros((6000, 6000), np.uint8)
    for box in boxes:
        covered[box.top : box.bottom, box.left : box.right] += 1
    assert (covered[750:5250, 750] > 0).all()  # the subject's left edge
    assert covered.max() >= 2
    assert plan_crops(matte, (6000, 6000), INPUT, tiles=False) == []


def test_blend_takes_the_second_pass_where_the_first_was_unsure() -> None:
    first = rectangle(128, 128, 192, 192)
    box = Box(400, 400, 800, 800)
    second = np.zeros((320, 320), np.float32)
    second[90:294, 90:294] = 1  # the same subject, with a sharp edge
    joined = blend(first, (1280, 1280), [box], [second])
    assert joined.shape == (1024, 1024)
    scale = 1024 / 1280
    inside, outside = round((400 + 93 * 1.25) * scale), round((400 + 86 * 1.25) * scale)
    assert joined[512, inside] > 0.9
    assert joined[512, outside] < 0.1
    assert joined[:300].max() == 0
    assert joined[512, 512] == 1


def test_blend_drops_a_second_pass_that_lost_the_subject() -> None:
    first = rectangle(128, 128, 192, 192)
    joined = blend(first, (1280, 1280), [Box(400, 400, 800, 800)], [np.zeros_like(first)])
    again = blend(first, (1280, 1280), [Box(400, 400, 800, 800)], [np.ones_like(first)])
    for kept in (joined, again):
        assert kept[512, 512] == 1
        assert kept[512, 300] == 0


def test_blend_of_no_box_is_the_first_matte() -> None:
    first = rectangle(128, 128, 192, 192)
    assert blend(first, (1280, 1280), [], []) is first


def test_tiles_that_agree_join_without_a_seam() -> None:
    first = np.tile(np.linspace(0, 1, 320, dtype=np.float32), (320, 1))
    boxes = [Box(0, 0, 700, 1280), Box(580, 0, 1280, 1280)]
    seconds = [
        np.tile(np.linspace(b.left / 1280, b.right / 1280, 320, dtype=np.float32), (320, 1))
        for b in boxes
    ]
    joined = blend(first, (1280, 1280), boxes, seconds)
    expected = np.linspace(0, 1, joined.shape[1])
    assert np.abs(joined - expected).max() < 0.01


def test_a_box_at_the_pictures_edge_counts_up_to_it() -> None:
    first = rectangle(128, 1, 192, 60)
    box = Box(0, 400, 400, 800)
    second = np.zeros((320, 320), np.float32)
    second[90:294, :192] = 1
    joined = blend(first, (1280, 1280), [box], [second])
    assert joined[512, 0] == 1  # the first pass said 0.5 there


def test_what_each_detail_plans() -> None:
    small, size = rectangle(128, 128, 192, 192), (1500, 1500)
    filling, empty = rectangle(60, 60, 260, 260), np.zeros(INPUT, np.float32)
    box = subject_box(small, size)
    mirrored = View(mirrored=True)
    assert plan_detail("off", small, size, INPUT) == DetailPlan([], guided=False)
    assert plan_detail("guided", small, size, INPUT) == DetailPlan([], guided=True)
    assert plan_detail("crop", small, size, INPUT) == DetailPlan([View(box)], guided=True)
    twice = [View(box), View(box, mirrored=True)]
    assert plan_detail("auto", small, size, INPUT) == DetailPlan(twice, guided=True)
    assert plan_detail("auto", filling, size, INPUT) == DetailPlan([mirrored], guided=True)
    assert plan_detail("auto", empty, size, INPUT) == DetailPlan([], guided=True)


def test_large_networks_look_again_at_small_subjects_only() -> None:
    small, size, large_input = rectangle(140, 140, 180, 180), (2500, 2500), (1024, 1024)
    large = rectangle(70, 70, 250, 250)
    box = subject_box(small, size)
    assert plan_detail("auto", small, size, large_input) == DetailPlan([View(box)], guided=False)
    assert plan_detail("auto", large, size, large_input) == DetailPlan([], guided=False)


def test_to_full_size_does_what_the_plan_says() -> None:
    matte = rectangle(128, 128, 192, 192)
    rgb = np.random.default_rng(4).integers(0, 256, (500, 700, 3)).astype(np.uint8)
    assert (to_full_size(rgb, matte, guided=True) == refine(rgb, matte)).all()
    assert (to_full_size(rgb, matte, guided=False) == upsample(matte, (500, 700))).all()
