"""Guided filter with a colour guide and a measure of how far to trust it.

He, Sun and Tang, "Guided image filtering", ECCV 2010 and TPAMI 2013: in every window the matte is
fitted as a linear function of the colour, `matte = slope . rgb + offset`. The share of the matte's
variance that the fit explains says whether the image has an edge where the matte has one.
"""

from typing import NamedTuple

import cv2
import numpy as np

from rmbg_service.imaging.tiling import Tile
from rmbg_service.matting.arrays import merge, split
from rmbg_service.types import Matte, Planes

EPSILON = 1e-4
"""Regularisation: colour differences below its root (1% of the range) do not steer the matte."""

NOTHING_EXPLAINED, ALL_EXPLAINED = 0.3, 0.8
"""Explained shares at and below, at and above which the trust is 0 and 1."""


class Fit(NamedTuple):
    """The averaged fits: `model` `(h, w, 4)` is slope and offset, `trust` `(h, w)` in [0, 1]."""

    model: Planes
    trust: Matte


def fit(guide: Planes, matte: Matte, radius: int) -> Fit:
    """Fit `matte` `(h, w)` to `guide` `(h, w, 3)`, RGB float32 in [0, 1], in windows of 2r + 1."""

    def mean(planes: Planes) -> Planes:
        size = (2 * radius + 1, 2 * radius + 1)
        return np.asarray(cv2.blur(planes, size, borderType=cv2.BORDER_REFLECT), np.float32)

    r, g, b = channels = split(guide)
    mean_r, mean_g, mean_b = means = [mean(c) for c in channels]
    mean_m = mean(matte)
    rr = mean(r * r) - mean_r * mean_r + EPSILON
    gg = mean(g * g) - mean_g * mean_g + EPSILON
    bb = mean(b * b) - mean_b * mean_b + EPSILON
    rg = mean(r * g) - mean_r * mean_g
    rb = mean(r * b) - mean_r * mean_b
    gb = mean(g * b) - mean_g * mean_b
    rm, gm, bm = (mean(c * matte) - mc * mean_m for c, mc in zip(channels, means, strict=True))

    # The covariance is symmetric; its inverse by cofactors.
    c_rr, c_gg, c_bb = gg * bb - gb * gb, rr * bb - rb * rb, rr * gg - rg * rg
    c_rg, c_rb, c_gb = gb * rb - rg * bb, rg * gb - gg * rb, rb * rg - rr * gb
    scale = 1 / (rr * c_rr + rg * c_rg + rb * c_rb)
    slope_r = (c_rr * rm + c_rg * gm + c_rb * bm) * scale
    slope_g = (c_rg * rm + c_gg * gm + c_gb * bm) * scale
    slope_b = (c_rb * rm + c_gb * gm + c_bb * bm) * scale
    offset = mean_m - slope_r * mean_r - slope_g * mean_g - slope_b * mean_b

    explained = slope_r * rm + slope_g * gm + slope_b * bm
    explained /= mean(matte * matte) - mean_m * mean_m + EPSILON
    trust = (explained - NOTHING_EXPLAINED) / (ALL_EXPLAINED - NOTHING_EXPLAINED)
    return Fit(
        model=mean(merge([slope_r, slope_g, slope_b, offset])),
        trust=mean(np.clip(trust, 0, 1)),
    )


def fit_part(guide: Planes, matte: Matte, radius: int, part: Tile) -> Fit:
    """The part `part` of `fit(guide, matte, radius)`, without working out the rest."""
    reach = 2 * radius  # a window of windows
    around = tuple(slice(max(0, each.start - reach), each.stop + reach) for each in part)
    inside = tuple(
        slice(each.start - wider.start, each.stop - wider.start)
        for each, wider in zip(part, around, strict=True)
    )
    model, trust = fit(guide[around], matte[around], radius)
    return Fit(model[inside], trust[inside])


def apply(model: Planes, guide: Planes) -> Matte:
    """The matte that `model` `(h, w, 4)` predicts from `guide` `(h, w, 3)`, clipped to [0, 1]."""
    matte = model[..., 0] * guide[..., 0]
    matte += model[..., 1] * guide[..., 1]
    matte += model[..., 2] * guide[..., 2]
    matte += model[..., 3]
    return np.asarray(np.clip(matte, 0, 1, out=matte))
