"""The subject's own colours in the soft band, with the old background unmixed.

Blur fusion, Forte, "Approximate fast foreground colour estimation", ICIP 2021, run from wide to
narrow blurs at a small working size; its estimates of both layers are then brought to the full
image and corrected there, pixel by pixel, so that the layers mix to the colour that was seen.
Two things differ from the paper: more and narrower steps, and averages weighted by the square of
the alpha, so that purer pixels count more.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

import cv2
import numpy as np
from numpy.typing import NDArray

from rmbg_service.imaging.tiling import Tile, tiles
from rmbg_service.matting.arrays import UNIT, merge, window
from rmbg_service.types import Alpha, Matte, Planes, RgbImage

WORKING_SIDE_PX = 640
RADII_PX = (30, 10, 3, 1)
"""Blur radii at the working size, one step each."""

REACH_PX = sum(RADII_PX) + 2
"""Distance at the working size from which on nothing matters to a pixel's estimate."""

NOTHING = np.float32(1e-5)
"""Weight of a pixel's own estimate, which stays where the layer is not seen in the window."""


def estimate_foreground(rgb: RgbImage, alpha: NDArray[np.uint8] | NDArray[np.float32]) -> RgbImage:
    """A copy of `rgb` whose colours are the foreground's wherever `0 < alpha < 1`.

    `alpha` `(H, W)` is uint8, or float32 in [0, 1]. Fully opaque and fully transparent pixels keep
    their colours.
    """
    if alpha.dtype == np.uint8:
        levels = np.asarray(alpha, np.uint8)
    else:
        levels = np.round(np.clip(np.asarray(alpha, np.float32), 0, 1) * 255).astype(np.uint8)
    colours = rgb.copy()
    soft = list(_soft_parts(levels))
    if not soft:
        return colours
    back, front = _layers(rgb, levels, soft)
    for part in soft:
        share = merge([levels[part] * UNIT] * 4)
        behind = window(back, levels.shape, part)
        before = window(front, levels.shape, part)
        seen = np.asarray(cv2.cvtColor(rgb[part], cv2.COLOR_RGB2RGBA), np.uint8)
        rest = _unexplained(seen, before, behind, share)
        rest *= share
        unmixed = cv2.cvtColor(cv2.add(before, rest, dtype=cv2.CV_8U), cv2.COLOR_RGBA2RGB)
        cv2.copyTo(unmixed, cv2.inRange(levels[part], 1, 254), colours[part])
    return colours


def _soft_parts(alpha: Alpha) -> Iterator[Tile]:
    """In each tile, the rectangle around its pixels of `0 < alpha < 255`."""
    for rows, row in groupby(tiles(alpha.shape), itemgetter(0)):
        soft = cv2.inRange(alpha[rows], 1, 254)
        for _, columns in row:
            left, top, width, height = cv2.boundingRect(soft[:, columns])
            if width:
                left, top = columns.start + left, rows.start + top
                yield slice(top, top + height), slice(left, left + width)


def _layers(rgb: RgbImage, alpha: Alpha, soft: Sequence[Tile]) -> tuple[Planes, Planes]:
    """Background and foreground estimates `(h, w, 4)` in [0, 255] at the working size.

    They are RGB and an unused plane, which makes them faster to enlarge; 0 away from `soft`.
    """
    skip = max(1, round(max(alpha.shape) / WORKING_SIDE_PX))
    sampled = tuple(slice(min(skip // 2, side - 1), None, skip) for side in alpha.shape)
    mixed, share = rgb[sampled], alpha[sampled]
    around = tuple(
        slice(
            max(0, min(part[axis].start for part in soft) // skip - REACH_PX),
            max(part[axis].stop for part in soft) // skip + REACH_PX,
        )
        for axis in (0, 1)
    )
    back, front = _blur_fusion(mixed[around], share[around] * UNIT)
    layers = np.zeros((2, *share.shape, 4), np.float32)
    for layer, planes in zip(layers, (back, front), strict=True):
        layer[around] = merge([*planes, planes[0]])
    return layers[0], layers[1]


def _blur_fusion(mixed: RgbImage, share: Matte) -> tuple[list[Matte], list[Matte]]:
    """Background and foreground of a small image and its alpha in [0, 1], a plane a colour."""
    back_weights, front_weights = (1 - share) ** 2, share**2
    back_totals, front_totals = (
        [_blurred(weights, radius) + NOTHING for radius in RADII_PX]
        for weights in (back_weights, front_weights)
    )
    back, front = [], []
    for colour in cv2.split(mixed):
        seen = colour.astype(np.float32)
        behind, before = seen.copy(), seen.copy()
        for radius, back_total, front_total in zip(
            RADII_PX, back_totals, front_totals, strict=True
        ):
            _average(behind, back_weights, back_total, radius)
            _average(before, front_weights, front_total, radius)
            if radius != RADII_PX[-1]:
                rest = _unexplained(seen, before, behind, share)
                behind += rest
                rest *= share
                before += rest
                behind -= rest
                np.clip(before, 0, 255, out=before)
                np.clip(behind, 0, 255, out=behind)
        back.append(behind)
        front.append(before)
    return back, front


def _unexplained(
    colours: NDArray[np.uint8] | Planes, before: Planes, behind: Planes, share: Matte
) -> Planes:
    """What the mixture of two layers leaves of the colours that were seen."""
    rest: Planes = before - behind
    rest *= share
    rest += behind
    return np.subtract(colours, rest, out=rest)


def _average(plane: Matte, weights: Matte, total: Matte, radius: int) -> None:
    """Turn a plane into its weighted mean around each pixel; `total` is the blurred weights."""
    mean = _blurred(plane * weights, radius)
    plane *= NOTHING
    plane += mean
    plane /= total


def _blurred(plane: Matte, radius: int) -> Matte:
    size = (2 * radius + 1, 2 * radius + 1)
    return np.asarray(cv2.blur(plane, size, borderType=cv2.BORDER_REFLECT), np.float32)
