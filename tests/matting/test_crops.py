import numpy as np
import pytest

from rmbg_service.matting.crops import detail_gain, plan_crops, subject_box
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


def test_a_side_that_the_network_sees_in_full_is_not_cut() -> None:
    """The parts would show no more of it, and of a narrow image they would be the same."""
    matte = np.full((320, 320), 0.5, np.float32)
    matte[80:240, 80:240] = 1
    boxes = plan_crops(matte, (1, 5000), INPUT)
    assert len(boxes) == len(set(boxes)) == 3
    assert len(plan_crops(matte, (5000, 320), INPUT)) == 3
    assert len(plan_crops(matte, (5000, 1000), INPUT)) == 8
