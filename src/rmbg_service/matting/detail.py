"""A network's small matte at the picture's full size.

`upsample` is the plain way. `refine` lets the picture's own edges steer the matte: guided filters
from coarse to fine at a small working size, whose last linear models are then applied to the full
picture (fast guided filter, He and Sun 2015, arXiv:1505.00996). Two things differ from the paper:
the matte, which small networks leave too soft, is steepened before each fit, and where the colours
do not explain the matte (a shadow, a striped shirt, a background of the subject's colour) the
upsampled matte stays. Only the band where the network itself was not sure is touched.
"""

from typing import NamedTuple

import cv2
import numpy as np

from rmbg_service.matting import guided
from rmbg_service.matting.arrays import (
    TILE_PX,
    UNIT,
    Alpha,
    Picture,
    Planes,
    merge,
    resize,
    split,
    touched_tiles,
    window,
)
from rmbg_service.models.predictor import Matte

WORKING_SIDE_PX = 640
STEPS = ((320, 8), (320, 4), (WORKING_SIDE_PX, 2))
"""Working size (long side in px) and filter radius (in 1/320 of the long side), in order."""

UNSURE = 0.02
"""The network is sure of a value this close to 0 or 1."""

STEEPEN_BEFORE_FIT = 1.5
STEEPEN_UNTRUSTED = 1.15


class _Plan(NamedTuple):
    """What the last step would do, at its working size, to be carried out on the full picture.

    `model` `(h, w, 4)` predicts the matte from a colour; `mix` `(h, w, 2)` is the share of that
    prediction and what is added besides. Both parts of `mix` are 0 where the network was sure.
    """

    model: Planes
    mix: Planes


def upsample(matte: Matte, size: tuple[int, int]) -> Alpha:
    """Bring a matte of any size to `size`, `(height, width)`, without looking at the picture."""
    coarse = np.round(np.clip(matte, 0, 1) * 255).astype(np.uint8)
    return np.asarray(resize(coarse, size), dtype=np.uint8)


def refine(rgb: Picture, matte: Matte) -> Alpha:
    """Bring a matte of any size to the picture's, its soft band steered by the picture's edges."""
    height, width = rgb.shape[:2]
    alpha = upsample(matte, (height, width))
    unsure = ((matte > UNSURE) & (matte < 1 - UNSURE)).astype(np.uint8)
    if not unsure.any():
        return alpha
    band = cv2.dilate(unsure, np.ones((3, 3), np.uint8)).astype(np.float32)
    plan = _plan(rgb, np.clip(matte, 0, 1), band)
    for top, left in touched_tiles(band, (height, width)):
        tile = alpha[top : top + TILE_PX, left : left + TILE_PX]
        guide = rgb[top : top + TILE_PX, left : left + TILE_PX] * UNIT
        model, mix = (window(p, (height, width), (top, left), tile.shape) for p in plan)
        share, added = split(mix)
        change = (share * guided.apply(model, guide) + added) * 255
        cv2.add(tile, change, dst=tile, dtype=cv2.CV_8U)
    return alpha


def _plan(rgb: Picture, matte: Matte, band: Matte) -> _Plan:
    """The guided filters from coarse to fine."""
    refined = matte
    skip = max(1, max(rgb.shape[:2]) // (2 * WORKING_SIDE_PX))
    rows = slice(min(skip // 2, rgb.shape[0] - 1), None, skip)
    shrunk = resize(rgb[rows], _working_size(rgb, WORKING_SIDE_PX))
    for side, radius in STEPS:
        size = _working_size(rgb, side)
        guide = resize(shrunk, size) * UNIT
        coarse, here = resize(matte, size), resize(band, size, cv2.INTER_LINEAR)
        refined = resize(refined, size)
        radius_px = max(1, round(radius * max(size) / 320))
        model, trust = guided.fit(guide, _steepen(refined, STEEPEN_BEFORE_FIT), radius_px)
        share = trust * here
        added = (here - share) * _steepen(refined, STEEPEN_UNTRUSTED) - here * coarse
        refined = np.clip(coarse + share * guided.apply(model, guide) + added, 0, 1)
    return _Plan(model, merge([share, added]))


def _working_size(rgb: Picture, side_px: int) -> tuple[int, int]:
    scale = min(1.0, side_px / max(rgb.shape[:2]))
    return max(1, round(rgb.shape[0] * scale)), max(1, round(rgb.shape[1] * scale))


def _steepen(matte: Matte, factor: float) -> Matte:
    return np.asarray(np.clip((matte - 0.5) * factor + 0.5, 0, 1))
