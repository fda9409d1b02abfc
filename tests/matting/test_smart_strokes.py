"""Strokes on a person in a shirt that the matte has lost, beside a bystander that it has kept."""

import cv2
import numpy as np
import pytest

from rmbg_service.matting.smart_strokes import (
    MAX_STROKES,
    REACH_OF_IMAGE,
    REACH_OF_STROKE,
    mend,
)
from rmbg_service.matting.strokes import Strokes
from rmbg_service.types import Alpha, BoolMask, Matte, RgbImage

HEIGHT, WIDTH = 480, 640
HEAD = slice(100, 200), slice(150, 250)
SHIRT = slice(200, 400), slice(120, 280)
BYSTANDER = slice(150, 400), slice(420, 500)
THROUGH_SHIRT = slice(230, 370), slice(180, 220)
THROUGH_BYSTANDER = slice(190, 360), slice(450, 470)


def scene() -> tuple[RgbImage, Alpha]:
    """The picture, and a matte without the shirt and with the bystander."""
    noise = np.random.default_rng(1).normal(0, 6, (HEIGHT, WIDTH, 3))
    rgb = np.full((HEIGHT, WIDTH, 3), (110, 130, 120), np.float64)
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    for part, colour in (
        (HEAD, (220, 180, 150)),
        (SHIRT, (60, 60, 160)),
        (BYSTANDER, (150, 70, 50)),
    ):
        rgb[part] = colour
    alpha[HEAD] = alpha[BYSTANDER] = 255
    return (rgb + noise).clip(0, 255).astype(np.uint8), cv2.blur(alpha, (5, 5)).astype(np.uint8)


def strokes(
    keep: tuple[slice, slice] | None = None, erase: tuple[slice, slice] | None = None
) -> Strokes:
    planes = Strokes(np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8))
    for plane, part in zip(planes, (keep, erase), strict=True):
        if part is not None:
            plane[part] = 255
    return planes


def overlap(alpha: Alpha, *parts: tuple[slice, slice]) -> float:
    truth = np.zeros((HEIGHT, WIDTH), bool)
    for part in parts:
        truth[part] = True
    seen = alpha >= 128
    return float((seen & truth).sum() / (seen | truth).sum())


def test_a_stroke_through_a_lost_shirt_brings_it_back_up_to_its_edge() -> None:
    rgb, alpha = scene()
    assert overlap(alpha, HEAD, SHIRT, BYSTANDER) < 0.6
    mended = mend(rgb, alpha, strokes(keep=THROUGH_SHIRT))
    assert overlap(mended, HEAD, SHIRT, BYSTANDER) > 0.97
    assert mended[200, 160:240].min() > 200, "no seam is left between head and shirt"
    assert (mended >= alpha).all()


def test_a_stroke_across_a_bystander_removes_the_bystander() -> None:
    rgb, alpha = scene()
    alpha[SHIRT] = 255
    mended = mend(rgb, alpha, strokes(erase=THROUGH_BYSTANDER))
    assert overlap(mended, HEAD, SHIRT) > 0.97
    assert (mended <= alpha).all()


def test_a_bystander_who_touches_the_subject_goes_without_it() -> None:
    rgb, alpha = scene()
    touching = slice(120, 200), slice(250, 330)
    rgb[touching], alpha[touching] = (150, 70, 50), 255
    mended = mend(rgb, alpha, strokes(erase=(slice(140, 180), slice(280, 300))))
    assert overlap(mended, HEAD, BYSTANDER) > 0.96


def test_strokes_of_both_kinds_bound_each_other() -> None:
    rgb, alpha = scene()
    lower = slice(300, 400), slice(120, 280)
    rgb[lower] = rgb[SHIRT][:100]  # nothing in the picture tells the halves apart
    both = strokes(
        keep=(slice(215, 270), slice(150, 250)), erase=(slice(330, 390), slice(150, 250))
    )
    mended = mend(rgb, alpha, both)
    assert (mended[215:270, 150:250] > 250).all()
    assert (mended[330:390, 150:250] < 5).all()


def test_erasing_what_is_seen_through_glass_leaves_its_thin_rim() -> None:
    noise = np.random.default_rng(1).normal(0, 6, (HEIGHT, WIDTH, 3))
    rgb = np.full((HEIGHT, WIDTH, 3), (110, 130, 120), np.float64)
    rgb[::40] -= 60
    rgb[:, ::40] += 60
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    distance = np.hypot(rows - 240, columns - 320)
    inside, rim = distance < 140, (distance >= 140) & (distance < 150)
    rgb[rim] = (150, 90, 60)
    alpha = np.where(inside | rim, 255, 0).astype(np.uint8)
    seen = (rgb + noise).clip(0, 255).astype(np.uint8)
    mended = mend(seen, alpha, strokes(erase=(slice(150, 330), slice(250, 390))))
    assert mended[rim].mean() > 240
    assert mended[inside].mean() < 100


def test_a_stroke_also_changes_what_was_there_in_part() -> None:
    rgb, alpha = scene()
    haze = slice(150, 400), slice(500, 560)
    rgb[haze], alpha[haze] = (150, 70, 50), 100
    mended = mend(rgb, alpha, strokes(erase=THROUGH_BYSTANDER))
    assert mended[haze].max() < 20


def test_a_doubtful_change_ends_without_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def doubtful(*arguments: BoolMask) -> Matte:
        return np.where(arguments[2], 1, 0.45).astype(np.float32)

    monkeypatch.setattr("rmbg_service.matting.smart_strokes._solved", doubtful)
    rgb, alpha = np.full((HEIGHT, WIDTH, 3), 110, np.uint8), np.full((HEIGHT, WIDTH), 255, np.uint8)
    mended = mend(rgb, alpha, strokes(erase=(slice(200, 280), slice(280, 360))))
    beside = mended[240, 364:].astype(int)
    assert beside[0] < 240, "the stroke reaches here, if not wholly"
    assert beside[-1] == 255
    assert np.diff(beside).max() < 20


@pytest.mark.parametrize("kind", ["keep", "erase"])
def test_nothing_changes_out_of_reach(kind: str) -> None:
    rgb, alpha = scene()
    part = slice(20, 60), slice(20, 40)
    given = strokes(keep=part) if kind == "keep" else strokes(erase=part)
    reach = round(max(REACH_OF_STROKE * 40, REACH_OF_IMAGE * WIDTH)) + 2
    far = np.ones_like(alpha, bool)
    far[: 60 + reach, : 40 + reach] = False
    assert (mend(rgb, alpha, given)[far] == alpha[far]).all()


def test_small_strokes_for_a_large_picture() -> None:
    rgb, alpha = scene()
    large = cv2.resize(rgb, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    small = Strokes(*(np.ascontiguousarray(plane[::4, ::4]) for plane in strokes(THROUGH_SHIRT)))
    mended = mend(
        np.asarray(large, np.uint8), cv2.resize(alpha, None, fx=3, fy=3).astype(np.uint8), small
    )
    assert overlap(mended[::3, ::3], HEAD, SHIRT, BYSTANDER) > 0.94


def test_a_stroke_is_kept_where_it_is_thinner_than_the_grid() -> None:
    rgb, alpha = scene()
    large = np.ascontiguousarray(rgb.repeat(4, 0).repeat(4, 1))
    seed = np.zeros(large.shape[:2], np.uint8)
    cv2.line(seed, (1400, 100), (1900, 400), 255, 2)
    cv2.circle(seed, (1400, 100), 60, 255, -1)
    nothing = np.zeros_like(seed)
    mended = mend(
        large, cv2.resize(alpha, seed.shape[::-1]).astype(np.uint8), Strokes(seed, nothing)
    )
    assert mended[seed > 0].min() > 250


def test_no_strokes_change_nothing() -> None:
    rgb, alpha = scene()
    mended = mend(rgb, alpha, strokes())
    assert (mended == alpha).all()
    assert mended is not alpha


def test_many_strokes_cost_a_bounded_number_of_solutions(monkeypatch: pytest.MonkeyPatch) -> None:
    solved = []

    def count(*arguments: object) -> None:
        solved.append(arguments)

    monkeypatch.setattr("rmbg_service.matting.smart_strokes._apply", count)
    rgb, alpha = scene()
    dots = strokes()
    dots.keep[::20, ::20] = dots.keep[1::20, ::20] = 255
    dots.erase[10::20, 10::20] = 255
    mended = mend(rgb, alpha, dots)
    assert len(solved) == 2 * MAX_STROKES
    unpainted = np.count_nonzero(mended[dots.keep > 0] < 250)
    assert unpainted <= 2 * MAX_STROKES, "the others are painted as they are"


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 2000)])
@pytest.mark.parametrize("level", [0, 255])
def test_pictures_of_extreme_shapes(shape: tuple[int, int], level: int) -> None:
    rgb, alpha = np.full((*shape, 3), 90, np.uint8), np.full(shape, level, np.uint8)
    everything, nothing = np.full(shape, 255, np.uint8), np.zeros(shape, np.uint8)
    assert (mend(rgb, alpha, Strokes(everything, nothing)) == 255).all()
    assert (mend(rgb, alpha, Strokes(nothing, everything)) == 0).all()
