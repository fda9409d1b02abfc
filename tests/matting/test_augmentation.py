import tracemalloc

import numpy as np
import pytest

from rmbg_service.matting.augmentation import View, combine_views, log_odds_mean, merge_boxes
from rmbg_service.types import Box, Matte

INPUT = (320, 320)
MIRRORED = View(mirrored=True)


def disc(radius: float, softness: float, side: int = 320) -> Matte:
    """A round subject, a little left of the middle, with a soft rim."""
    y, x = np.mgrid[:side, :side]
    distance = np.hypot(x - 0.45 * side, y - 0.5 * side)
    return np.asarray(np.clip((radius - distance) / softness + 0.5, 0, 1), np.float32)


def rectangle(top: int, left: int, bottom: int, right: int, side: int = 320) -> Matte:
    """A subject with a rim the network was not sure of."""
    matte = np.zeros((side, side), np.float32)
    matte[top - 1 : bottom + 1, left - 1 : right + 1] = 0.5
    matte[top:bottom, left:right] = 1
    return matte


def test_a_mirrored_view_is_turned_back() -> None:
    matte = disc(60, 8)
    joined = combine_views(matte, (900, 900), [MIRRORED], [matte[:, ::-1]])
    assert np.abs(joined - matte).max() < 1e-5


def test_a_sure_matte_counts_more_than_in_the_plain_mean() -> None:
    sure, unsure = np.full((4, 4), 0.99, np.float32), np.full((4, 4), 0.4, np.float32)
    assert log_odds_mean([sure, unsure])[0, 0] == pytest.approx(
        0.890, abs=0.001
    )  # 0.695 is the mean
    assert log_odds_mean([1 - sure, 1 - unsure])[0, 0] == pytest.approx(0.110, abs=0.001)


def test_a_mean_takes_little_more_memory_than_its_result() -> None:
    mattes = [np.full((1024, 1024), 0.4, np.float32)] * 4
    tracemalloc.start()
    try:
        result = log_odds_mean(mattes)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * result.nbytes


def test_a_mean_leaves_nothing_and_all_as_they_are() -> None:
    for value in (0.0, 1.0):
        matte = np.full((5, 5), value, np.float32)
        assert np.abs(log_odds_mean([matte, matte]) - value).max() < 1e-6


def test_contradiction_is_undecided_and_never_beyond_the_range() -> None:
    nothing, everything = np.zeros((5, 5), np.float32), np.ones((5, 5), np.float32)
    assert log_odds_mean([nothing, everything]) == pytest.approx(np.full((5, 5), 0.5))


def test_the_weights_of_a_mean() -> None:
    low, high = np.full((2, 2), 0.1, np.float32), np.full((2, 2), 0.9, np.float32)
    assert log_odds_mean([low, high], [0.5, 0.5])[0, 0] == pytest.approx(0.5)
    assert log_odds_mean([low, high], [0.0, 1.0])[0, 0] == pytest.approx(0.9, abs=1e-4)


def test_an_empty_scene_stays_empty_in_every_view() -> None:
    empty = np.zeros(INPUT, np.float32)
    views = [MIRRORED, View(Box(100, 100, 500, 500))]
    assert combine_views(empty, (900, 900), views, [empty, empty], 0.7).max() < 1e-6


def test_a_box_alone_is_merged_with_the_full_view() -> None:
    first, box = disc(60, 8), Box(90, 120, 720, 780)
    second = disc(130, 3)
    joined = combine_views(first, (900, 900), [View(box)], [second])
    assert (joined == merge_boxes(first, (900, 900), [box], [second])).all()


def test_the_share_of_a_box_lies_between_both_views() -> None:
    first, box = np.full(INPUT, 0.4, np.float32), Box(0, 0, 900, 900)
    second = np.full(INPUT, 0.5, np.float32)
    half = combine_views(first, (900, 900), [View(box)], [second], 0.5)
    assert half == pytest.approx(np.full(half.shape, 0.449), abs=0.001)


def test_views_of_one_box_are_averaged_before_they_are_merged() -> None:
    first, box = disc(60, 8), Box(90, 120, 720, 780)
    one, other = disc(130, 3), disc(126, 9)
    views = [View(box), View(box, mirrored=True)]
    joined = combine_views(first, (900, 900), views, [one, other[:, ::-1]])
    assert (joined == merge_boxes(first, (900, 900), [box], [log_odds_mean([one, other])])).all()


def test_without_further_views_the_matte_stays() -> None:
    first = disc(60, 8)
    assert combine_views(first, (900, 900), [], []) is first


def test_a_box_counts_where_the_whole_picture_is_unsure() -> None:
    first = rectangle(128, 128, 192, 192)
    box = Box(400, 400, 800, 800)
    second = np.zeros((320, 320), np.float32)
    second[90:294, 90:294] = 1  # the same subject, with a sharp edge
    joined = merge_boxes(first, (1280, 1280), [box], [second])
    assert joined.shape == (1024, 1024)
    scale = 1024 / 1280
    inside, outside = round((400 + 93 * 1.25) * scale), round((400 + 86 * 1.25) * scale)
    assert joined[512, inside] > 0.9
    assert joined[512, outside] < 0.1
    assert joined[:300].max() == 0
    assert joined[512, 512] == 1


def test_a_box_that_lost_the_subject_is_dropped() -> None:
    first = rectangle(128, 128, 192, 192)
    joined = merge_boxes(first, (1280, 1280), [Box(400, 400, 800, 800)], [np.zeros_like(first)])
    again = merge_boxes(first, (1280, 1280), [Box(400, 400, 800, 800)], [np.ones_like(first)])
    for kept in (joined, again):
        assert kept[512, 512] == 1
        assert kept[512, 300] == 0


def test_without_boxes_the_matte_stays() -> None:
    first = rectangle(128, 128, 192, 192)
    assert merge_boxes(first, (1280, 1280), [], []) is first


def test_boxes_that_agree_merge_without_a_seam() -> None:
    first = np.tile(np.linspace(0, 1, 320, dtype=np.float32), (320, 1))
    boxes = [Box(0, 0, 700, 1280), Box(580, 0, 1280, 1280)]
    boxed = [
        np.tile(np.linspace(b.left / 1280, b.right / 1280, 320, dtype=np.float32), (320, 1))
        for b in boxes
    ]
    joined = merge_boxes(first, (1280, 1280), boxes, boxed)
    expected = np.linspace(0, 1, joined.shape[1])
    assert np.abs(joined - expected).max() < 0.01


def test_a_box_at_the_pictures_edge_counts_up_to_it() -> None:
    first = rectangle(128, 1, 192, 60)
    box = Box(0, 400, 400, 800)
    second = np.zeros((320, 320), np.float32)
    second[90:294, :192] = 1
    joined = merge_boxes(first, (1280, 1280), [box], [second])
    assert joined[512, 0] == 1  # the whole picture says 0.5 there
