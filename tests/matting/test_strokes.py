import numpy as np
import pytest

from rmbg_service.matting.strokes import MAX_SIDE_PX, Strokes, paint, strokes_of

SIZE = (60, 80)


def plane(size: tuple[int, int] = SIZE) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.zeros(size, np.uint8)


def test_light_strokes_keep_and_dark_ones_erase() -> None:
    brightness, coverage = plane(), plane()
    brightness[10, 10], coverage[10, 10] = 255, 200
    coverage[20, 20] = 90
    strokes = strokes_of(brightness, coverage, SIZE)
    assert (strokes.keep[10, 10], strokes.erase[10, 10]) == (200, 0)
    assert (strokes.keep[20, 20], strokes.erase[20, 20]) == (0, 90)
    assert strokes.painted.any()
    assert not strokes_of(brightness, plane(), SIZE).painted.any()


@pytest.mark.parametrize(
    ("strokes", "picture", "held"),
    [
        ((300, 400), (3000, 4000), (300, 400)),
        ((3000, 4000), (300, 400), (300, 400)),
        ((3000, 4000), (3000, 4000), (1536, MAX_SIDE_PX)),
        ((1, 4000), (1, 4000), (1, MAX_SIDE_PX)),
        ((7, 1), (6000, 1), (7, 1)),
    ],
)
def test_strokes_are_held_at_a_bounded_size(
    strokes: tuple[int, int], picture: tuple[int, int], held: tuple[int, int]
) -> None:
    assert strokes_of(plane(strokes), plane(strokes), picture).keep.shape == held


def test_painting_changes_what_is_painted_and_nothing_else() -> None:
    alpha = np.full((600, 800), 100, np.uint8)
    keep, erase = plane(), plane()
    keep[20:30, 20:30], erase[40:50, 60:70] = 255, 255
    keep[10, 70] = 128
    painted = paint(alpha, Strokes(keep, erase))
    assert (painted[220:280, 220:280] == 255).all()
    assert (painted[420:480, 620:680] == 0).all()
    assert 100 < painted[105, 705] < 255
    rim = painted[190:210, 250]
    assert ((rim > 100) & (rim < 255)).any(), "the rim is soft"
    untouched = np.ones_like(alpha, bool)
    for part in ((190, 310, 190, 310), (390, 510, 590, 710), (90, 120, 690, 720)):
        untouched[part[0] : part[1], part[2] : part[3]] = False
    assert (painted[untouched] == 100).all()
    assert (alpha == 100).all(), "the input stays as it is"
