import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from rmbg_service.evaluation.measures import (
    boundary_f,
    boundary_iou,
    grad,
    iou,
    mae,
    measure,
    mse,
    sad,
    shadow_leak,
    soft_iou,
)
from rmbg_service.types import Matte


def square(size: int = 200, low: int = 50, high: int = 150) -> Matte:
    matte = np.zeros((size, size), np.float32)
    matte[low:high, low:high] = 1
    return matte


def shifted(matte: Matte, by_px: int) -> Matte:
    return np.roll(matte, by_px, axis=1)


def test_perfect_prediction_has_the_best_value_of_every_measure() -> None:
    values = measure(square(), square())
    for name in ("mae", "mse", "sad", "grad"):
        assert values[name] == pytest.approx(0, abs=1e-12), name
    for name in ("iou", "soft_iou", "bf", "bf2", "biou", "uea", "uea_solid"):
        assert values[name] == 1, name
    assert values["far_bad_px"] == 0
    assert math.isnan(values["uea_hair"])
    assert math.isnan(values["shadow_leak"])


def test_areas_of_a_shifted_square() -> None:
    p, g = shifted(square(), 3), square()
    assert iou(p, g) == pytest.approx(97 / 103)
    assert soft_iou(p, g) == pytest.approx(97 / 103)
    assert mae(p, g) == pytest.approx(600 / 40_000)
    assert mse(p, g) == pytest.approx(600 / 40_000)
    assert sad(p, g) == pytest.approx(0.6)


def test_half_transparent_values_count_in_the_soft_measures_only() -> None:
    p, g = square() * 0.6, square()
    assert iou(p, g) == 1
    assert soft_iou(p, g) == pytest.approx(0.6)
    assert mae(p, g) == pytest.approx(0.4 * 0.25)
    assert mse(p, g) == pytest.approx(0.16 * 0.25)


def test_gradient_error_of_a_vanished_straight_edge() -> None:
    # A unit step answered by the unit-norm filter: the sum of squares along one row is known.
    g = np.zeros((100, 100), np.float32)
    g[:, 50:] = 1
    x = np.arange(-5, 6)
    gauss = np.exp(-(x**2) / (2 * 1.4**2))
    slope = -x * gauss
    profile = np.convolve(np.r_[np.zeros(20), np.ones(20)], slope, mode="valid")
    row = np.sum((profile / np.linalg.norm(slope) * gauss.sum() / np.linalg.norm(gauss)) ** 2)
    assert grad(np.zeros_like(g), g) == pytest.approx(100 * row / 1000, rel=1e-4)


def test_gradient_error_does_not_depend_on_where_arrays_lie_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`cv2.magnitude` rounds as its result lies there, and differently from NumPy in any case."""
    p, g = np.random.default_rng(0).random((2, 101, 103), np.float32)
    slopes: list[Matte] = []
    sep_filter = cv2.sepFilter2D

    def noted(*args: Any, **kwargs: Any) -> Matte:
        slope = np.asarray(sep_filter(*args, **kwargs), np.float32)
        slopes.append(slope.copy())
        return slope

    monkeypatch.setattr(cv2, "sepFilter2D", noted)
    found = grad(p, g)
    p_length, g_length = (np.sqrt(x * x + y * y) for x, y in (slopes[:2], slopes[2:]))
    assert found == np.square(p_length - g_length).sum(dtype=np.float64) / 1000


@pytest.mark.parametrize(("by_px", "agrees"), [(1, True), (2, True), (3, False)])
def test_boundary_f_tolerates_what_it_says(by_px: int, agrees: bool) -> None:
    value = boundary_f(shifted(square(), by_px), square(), tolerance_px=2)
    assert (value == 1) is agrees


def test_boundary_iou_of_a_shift_is_that_of_the_bands() -> None:
    # The band of a 200 px picture is round(0.02 * 283) = 6 px wide.
    p, g = shifted(square(), 6), square()
    band = 100 * 100 - 88 * 88
    shared = 2 * 6 * 94  # along the top and the bottom; the side bands lie beside each other
    assert boundary_iou(p, g) == pytest.approx(shared / (2 * band - shared), abs=0.02)


@pytest.mark.parametrize("function", [iou, soft_iou, boundary_f, boundary_iou])
def test_empty_truth(function: Callable[[Matte, Matte], float]) -> None:
    empty = np.zeros((200, 200), np.float32)
    assert function(empty, empty) == 1
    assert function(square(), empty) == 0
    assert function(empty, square()) == 0


def test_empty_truth_has_no_edge_but_counts_the_floating_error() -> None:
    values = measure(square(), np.zeros((200, 200), np.float32))
    assert math.isnan(values["uea"])
    assert values["far_bad_px"] > 9000


def test_shadow_leak_looks_at_the_shadow_outside_the_subject_only() -> None:
    shadow = np.zeros((200, 200), np.uint8)
    shadow[100:180, 100:180] = 255
    p = square()
    p[150:, 150:] = 0.5
    leak = (80 * 80 - 50 * 50, 30 * 30 * 0.5)
    assert shadow_leak(p, square(), shadow) == pytest.approx(leak[1] / leak[0])
    assert math.isnan(shadow_leak(p, square(), np.zeros_like(shadow)))


def test_a_blurred_edge_costs_gradient_but_hardly_area() -> None:
    blurred = cv2.GaussianBlur(square(), (0, 0), 3).astype(np.float32)
    assert iou(blurred, square()) > 0.99
    assert grad(blurred, square()) > grad(shifted(square(), 1), square()) / 10


def holed(matte: Matte) -> Matte:
    matte = matte.copy()
    matte[90:110, 90:110] = 0
    return matte


def with_speck(matte: Matte) -> Matte:
    matte = matte.copy()
    matte[10:20, 10:20] = 1
    return matte


@pytest.mark.parametrize(
    ("change", "error_px", "iou_is", "uea_is", "far_from_edge"),
    [
        (lambda m: shifted(m, 1), 200, 99 / 101, 1.0, False),
        (lambda m: shifted(m, 3), 600, 97 / 103, None, False),
        (holed, 400, 9600 / 10_000, 1.0, True),
        (with_speck, 100, 10_000 / 10_100, 1.0, True),
    ],
    ids=["shift 1", "shift 3", "hole", "speck"],
)
def test_hand_made_errors(
    change: Callable[[Matte], Matte],
    error_px: int,
    iou_is: float,
    uea_is: float | None,
    far_from_edge: bool,
) -> None:
    values = measure(change(square()), square())
    assert values["sad"] == pytest.approx(error_px / 1000)
    assert values["mae"] == values["mse"] == pytest.approx(error_px / 40_000)
    assert values["iou"] == values["soft_iou"] == pytest.approx(iou_is)
    assert 0 < values["biou"] < 1
    assert 0 < values["bf"] <= 1
    assert values["grad"] > 0
    # Only the edges along the shift stay usable where it is 3 px.
    assert values["uea"] == uea_is if uea_is is not None else 0.1 < values["uea"] < 0.7
    assert (values["far_bad_px"] > 50) is far_from_edge
