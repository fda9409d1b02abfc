"""What a matte and its image say about each part of an edge: whether refinement would help there.

Four measurements decide, all taken from the image and never from the network's name:

- the *width* of the matte's edge: a tight edge is right already, a loose one (hair, fur, blur)
  leaves out what the image shows;
- the *mismatch* between the matte and what the colours in small windows make of it: a network that
  draws the edges of the image, strands and glass included, has drawn them right already;
- the *sharpness* of the matte, against what those colours make of it: one that is evenly a little
  soft has its edges in the right place, and wide windows would only move them;
- how much of the matte's variance a linear function of the colour *explains* in a wide window:
  where it explains little, the colours do not separate subject from background, and a guided
  filter follows edges that are not the subject's.
"""

from typing import NamedTuple

import cv2
import numpy as np

from rmbg_service.matting import guided_filter
from rmbg_service.matting.arrays import (
    UNIT,
    resize,
    size_within,
    touched_part,
    touched_tiles,
    vector_length,
)
from rmbg_service.types import Matte, Planes, RgbImage

WINDOW_RADIUS = 10
"""Radius in px of the window in which the width of an edge is measured."""

FLAT = 1e-3
"""Gradients below this, per pixel, are not edges; keeps the width finite."""

TIGHT_PX, COARSE_PX = 2.75, 3.25
"""Widths in px of the image up to which an edge is left alone and from which it may be fitted. At
100% zoom an edge of 1 px looks sharp; it measures up to 2.7, see `ramp_width`."""

FIRM_PX, LOOSE_PX = 3, 6
"""Widths in px of the network up to which an edge is firm and from which it is loose."""

LITTLE_EXPLAINED, WELL_EXPLAINED = 0.6, 0.9
"""Trust in the colours at and below which no fit counts, and from which it counts in full."""

GUIDE_SIDE_PX, EXPLAINED_RADIUS = 160, 12
"""Size of the guide and radius in px of the window in which its colours must explain the matte: so
small that a strand of hair and the gap beside it are one pixel, as in the haze a network sees."""

MISMATCH_RADIUS = 8
"""Radius in px of the network of the windows in which colours must follow the matte closely."""

MIN_LENGTH = 1e-4
"""Keeps the mismatch finite where there is no edge."""

NEIGHBOURHOOD = 0.1
"""Radius, as a part of the long side, over which the mismatch is averaged: how exactly a network
draws depends on the kind of edge rather than on single pixels."""

MATCHED_PX, MISMATCHED_PX = 0.055, 0.065
"""Mismatch up to which the matte is left alone and from which it may change. Most perfect mattes,
and those blurred by a Gaussian of sigma 1 px of the network, stay below."""

SHARPNESS_SIGMA = 2.0
"""Detail finer than a Gaussian of this sigma in px of the network counts for the sharpness."""

HAZY, HAZY_TO_SOFT = 0.25, 0.32
SOFT, SHARP = 0.58, 0.66
"""Sharpness of mattes that need wide windows: up to the first, in full, and from the last on, in
full; not at all between the second and the third. A perfect matte blurred by a Gaussian of sigma
2 px has 0.35 to 0.59, one of sigma 4 px has 0.10 to 0.31. A network that draws crisp edges in the
wrong place has 0.66 and more."""


class Evidence(NamedTuple):
    """Where to refine, as planes `(h, w)` in [0, 1] of one size.

    `fitted` is the share of a guided filter, `loose` how loose the edge is, and `changed` where the
    matte may change at all: 0 there leaves the plain matte as it is, to the last pixel. `coarse` in
    [0, 1] is the share of all these that counts for wide and coarse windows.
    """

    fitted: Matte
    loose: Matte
    changed: Matte
    coarse: float = 1.0


def weigh(matte: Matte, image: RgbImage, image_side: int) -> Evidence:
    """Weigh the evidence for a `matte` of the network's resolution, or of the image's if lower.

    `image` is shrunk to the size of the matte; `image_side` is its longest side in px before.
    """
    size = size_within(matte.shape, GUIDE_SIDE_PX)
    gradient = gradient_length(matte)
    local = local_fit(matte, gradient, image * UNIT)
    doubtful = _ramp(mismatch(matte, gradient, local, size), MATCHED_PX, MISMATCHED_PX)
    if not doubtful.any():
        return Evidence(doubtful, doubtful, doubtful)
    coarse_share = _coarse_share(sharpness(matte, local))
    width = ramp_width(matte, gradient)
    wide = resize(_ramp(width, FIRM_PX, LOOSE_PX), size) * doubtful * np.float32(coarse_share)
    width *= np.float32(image_side / max(matte.shape))
    coarse = resize(_ramp(width, TIGHT_PX, COARSE_PX), size) * doubtful
    guide = resize(image, size) * UNIT
    trust = guided_filter.fit(guide, resize(matte, size), EXPLAINED_RADIUS).trust
    explained = _ramp(trust, LITTLE_EXPLAINED, WELL_EXPLAINED)
    fitted = explained * coarse
    return Evidence(fitted, explained * wide, np.maximum(fitted, wide), coarse_share)


def local_fit(matte: Matte, gradient: Matte, guide: Planes) -> Matte:
    """What the colours in small windows make of a matte `(h, w)` in [0, 1], at its edges.

    `gradient` is its `gradient_length`; `guide` `(h, w, 3)` in [0, 1] has its size. Far from any
    edge, the matte itself.
    """
    fitted = matte.copy()
    reach = np.ones((2 * MISMATCH_RADIUS + 1,) * 2, np.uint8)
    near = cv2.dilate((gradient > FLAT).astype(np.uint8), reach).astype(np.float32)
    for tile in touched_tiles(near, matte.shape):
        part = touched_part(near, tile)
        model, _ = guided_filter.fit_part(guide, matte, MISMATCH_RADIUS, part)
        fitted[part] = guided_filter.apply(model, guide[part])
    return fitted


def mismatch(matte: Matte, gradient: Matte, local: Matte, size: tuple[int, int]) -> Matte:
    """How far a matte in [0, 1] is from its `local_fit`, in px, of `size`.

    The squares of the residuals over its `gradient_length`, which is the length of the edge:
    so it grows with the distance between the edges of matte and image, and with the blur of a
    sharp edge. Averaged over the neighbourhood, but nowhere more than over the whole image.
    """
    residuals = matte - local
    residuals *= residuals
    radius = max(1, round(NEIGHBOURHOOD * max(size)))
    window_px = (2 * radius + 1,) * 2
    here = np.asarray(cv2.blur(resize(residuals, size), window_px), np.float32)
    here /= cv2.blur(resize(gradient, size), window_px) + np.float32(MIN_LENGTH)
    everywhere = residuals.mean() / max(float(gradient.mean()), MIN_LENGTH)
    return np.asarray(np.minimum(here, everywhere), np.float32)


def sharpness(matte: Matte, local: Matte) -> float:
    """The energy of the fine detail of a matte over that of its `local_fit`; 1 without detail."""

    def energy(plane: Matte) -> float:
        fine = cv2.subtract(plane, cv2.GaussianBlur(plane, (0, 0), SHARPNESS_SIGMA))
        return float(np.square(fine, out=fine).mean())

    there = energy(local)
    return energy(matte) / there if there > 0 else 1.0


def _coarse_share(sharp: float) -> float:
    """The share of wide and coarse windows for a matte of this sharpness."""
    share = np.interp(sharp, (HAZY, HAZY_TO_SOFT, SOFT, SHARP), (1.0, 0.0, 0.0, 1.0))
    return float(share)


def ramp_width(matte: Matte, gradient: Matte) -> Matte:
    """Width in px of the steepest ramps of a matte in [0, 1] around each pixel `(h, w)`.

    The matte's range in a window over its slope there, the mean of its `gradient_length` weighted
    by itself: in a window with several edges the steep ones count. The gradient is taken over 3 px,
    so that widths under 2 px measure 2 to 2.8.
    """
    window_px = (2 * WINDOW_RADIUS + 1,) * 2
    kernel = np.ones(window_px, np.uint8)
    squares = cv2.multiply(gradient, gradient)
    slope = np.asarray(cv2.blur(squares, window_px), np.float32)
    slope /= cv2.blur(gradient, window_px) + FLAT
    slope += np.float32(FLAT)
    levels = (matte * 255).astype(np.uint8)  # several times faster to dilate than float32
    reach = cv2.subtract(cv2.dilate(levels, kernel), cv2.erode(levels, kernel))
    width = reach * np.float32(1 / 255)
    width /= slope
    return np.asarray(width, np.float32)


def gradient_length(matte: Matte) -> Matte:
    """Length of the gradient per px of a matte `(h, w)`, by 3 x 3 Sobel filters."""
    across, down = (
        np.asarray(cv2.Sobel(matte, cv2.CV_32F, *order, scale=1 / 8), np.float32)
        for order in ((1, 0), (0, 1))
    )
    return vector_length(across, down)


def _ramp(values: Matte, low: float, high: float) -> Matte:
    scaled = cv2.addWeighted(values, 1 / (high - low), values, 0, -low / (high - low))
    return np.asarray(np.clip(scaled, 0, 1, out=scaled), np.float32)
