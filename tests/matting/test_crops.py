import numpy as np
import pytest

from rmbg_service.matting.augmentation import View
from rmbg_service.matting.crops import detail_gain, plan_crops, subject_box
from rmbg_service.matting.plan import UNLIMITED, DetailPlan, TimeBudget, plan_detail
from rmbg_service.types import Box, Matte

INPUT = (320, 320)


def rectangle(top: int, left: int, bottom: int, right: int, side: int = 320) -> Matte:
    """A subject with a rim the network was not sure of."""
    matte = np.zeros((side, side), np.float32)
    matte[top - 1 : bottom + 1, left - 1 : right + 1] = 0.5
    matte[top:bottom, left:right] = 1
    return matte


def test_the_box_holds_the_subject_and_a_margin_in_pixels_of_the_picture() -> None:
    # 32 of 320 columns and 64 of 320 rows of a 4000 x 2000 picture, 30% more on each side.
    assert subject_box(rectangle(128, 160, 192, 192), (2000, 4000)) == Box(1880, 680, 2520, 1320)


def test_the_box_ends_at_the_picture() -> None:
    assert subject_box(np.ones((320, 320), np.float32), (70, 90)) == Box(0, 0, 90, 70)


def test_nothing_found_means_no_box() -> None:
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
def test_no_box_without_more_detail(matte: Matte, size: tuple[int, int]) -> None:
    assert plan_crops(matte, size, INPUT) == []


def test_a_small_subject_gets_one_box() -> None:
    matte = rectangle(128, 128, 192, 192)
    assert plan_crops(matte, (1500, 1500), INPUT) == [subject_box(matte, (1500, 1500))]


def test_the_gain_of_a_box_ends_where_the_network_sees_every_pixel() -> None:
    assert detail_gain(Box(0, 0, 500, 400), (1000, 1500), INPUT) == pytest.approx(3)
    assert detail_gain(Box(0, 0, 100, 100), (400, 300), INPUT) == pytest.approx(1.25)
    assert detail_gain(Box(0, 0, 100, 100), (200, 200), INPUT) == 1


def test_a_large_box_is_split_into_overlapping_boxes_that_hold_an_edge() -> None:
    matte = rectangle(40, 40, 280, 280)
    boxes = plan_crops(matte, (6000, 6000), INPUT)
    assert len(boxes) == 8  # of 3 x 3; the one in the middle is all subject
    covered = np.zeros((6000, 6000), np.uint8)
    for box in boxes:
        covered[box.top : box.bottom, box.left : box.right] += 1
    assert (covered[750:5250, 750] > 0).all()  # the subject's left edge
    assert covered.max() >= 2
    assert plan_crops(matte, (6000, 6000), INPUT, split=False) == []


def test_what_each_detail_plans() -> None:
    small, size = rectangle(128, 128, 192, 192), (1500, 1500)
    filling, empty = rectangle(60, 60, 260, 260), np.zeros(INPUT, np.float32)
    box = subject_box(small, size)
    mirrored = View(mirrored=True)
    assert plan_detail("off", small, size, INPUT) == DetailPlan([], "plain")
    assert plan_detail("guided", small, size, INPUT) == DetailPlan([], "guided")
    assert plan_detail("crop", small, size, INPUT) == DetailPlan([View(box)], "guided")
    twice = [View(box), View(box, mirrored=True)]
    assert plan_detail("auto", small, size, INPUT) == DetailPlan(twice, "guided")
    assert plan_detail("auto", filling, size, INPUT) == DetailPlan([mirrored], "guided")
    assert plan_detail("auto", empty, size, INPUT) == DetailPlan([], "guided")


def test_what_auto_and_best_plan_for_large_networks() -> None:
    small, size, large_input = rectangle(140, 140, 180, 180), (2500, 2500), (1024, 1024)
    sure = np.floor(rectangle(70, 70, 250, 250))
    unsure = np.maximum(sure, rectangle(70, 40, 250, 70) * np.float32(0.4))
    box, mirrored = subject_box(small, size), View(mirrored=True)
    slow = TimeBudget(prediction_s=2)

    def auto(matte: Matte, budget: TimeBudget) -> DetailPlan:
        return plan_detail("auto", matte, size, large_input, budget)

    assert auto(small, slow) == DetailPlan([View(box)], "selective")
    assert auto(sure, UNLIMITED) == DetailPlan([], "selective")
    assert auto(unsure, slow) == DetailPlan([], "selective")
    assert auto(unsure, TimeBudget(0.1)) == DetailPlan([mirrored], "selective")
    every = [mirrored, View(box), View(box, mirrored=True)]
    assert plan_detail("best", small, size, large_input) == DetailPlan(every, "selective")
    assert plan_detail("best", small, size, INPUT) == DetailPlan(every, "guided")
    nothing = np.zeros(INPUT, np.float32)
    assert plan_detail("best", nothing, size, INPUT) == DetailPlan([], "guided")


@pytest.mark.parametrize(("left_s", "views"), [(0, 0), (3.9, 0), (4, 1), (8, 2), (100, 2)])
def test_auto_plans_views_that_fit_into_half_of_the_time_left(left_s: float, views: int) -> None:
    small, size = rectangle(128, 128, 192, 192), (1500, 1500)
    plan = plan_detail("auto", small, size, INPUT, TimeBudget(2, left_s))
    assert len(plan.views) == views
    assert len(plan_detail("best", small, size, INPUT, TimeBudget(2, left_s)).views) == 3
