"""How measures are displayed: their titles, their digits, which direction is better."""

import math
from typing import NamedTuple

from rmbg_service.evaluation.summary import Difference, Estimate


class Label(NamedTuple):
    """How a measure is displayed; `better` is 1 if higher is better, -1 if lower is."""

    title: str
    better: int
    digits: int


LABELS = {
    "iou": Label("IoU", 1, 3),
    "soft_iou": Label("Soft IoU", 1, 3),
    "mae": Label("Mean absolute error", -1, 4),
    "mse": Label("Mean squared error", -1, 4),
    "sad": Label("Sum of absolute differences, thousands", -1, 1),
    "grad": Label("Gradient error, thousands", -1, 1),
    "bf": Label("Boundary F, 0.8% of the diagonal", 1, 3),
    "bf2": Label("Boundary F, 2 px", 1, 3),
    "biou": Label("Boundary IoU", 1, 3),
    "uea": Label("Usable edge accuracy", 1, 3),
    "uea_hair": Label("Usable edge in hair and fine structure", 1, 3),
    "uea_solid": Label("Usable edge elsewhere", 1, 3),
    "uea_shadow": Label("Usable edge beside cast shadows", 1, 3),
    "far_bad_px": Label("Wrong pixels far from any edge", -1, 0),
    "shadow_leak": Label("Shadow taken for the subject", -1, 3),
    "seconds": Label("Seconds a photo", -1, 2),
}


def format_value(value: float, measure: str) -> str:
    """A value with the digits of its measure; a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:.{LABELS[measure].digits}f}"


def format_interval(value: Estimate, measure: str) -> str:
    """The 95% interval of an estimate; empty if there is none."""
    if math.isnan(value.low):
        return ""
    return f"{format_value(value.low, measure)} – {format_value(value.high, measure)}"


def format_difference(row: Difference) -> str:
    """A difference with its sign, unit and interval."""
    scale, unit = (1, "s") if row.measure == "seconds" else (100, "pp")
    mean, low, high, _ = (scale * number for number in row.difference)
    bounds = "" if math.isnan(low) else f" ({low:+.2f} to {high:+.2f})"
    return f"{mean:+.2f} {unit}{bounds}"
