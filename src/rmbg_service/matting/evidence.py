"""What a matte and its picture say about each part of an edge: whether refinement would help there.

Two measurements decide, both taken from the picture and never from the network's name:

- the *width* of the matte's edge: a tight edge is right already, a loose one (hair, fur, blur)
  leaves out what the picture shows;
- how much of the matte's variance a linear function of the colour *explains* in a wide window:
  where it explains little, the colours do not separate subject from background, and a guided
  filter follows edges that are not the subject's.
"""

from typing import NamedTuple

import cv2
import numpy as np

from rmbg_service.matting import guided_filter
from rmbg_service.matting.arrays import resize
from rmbg_service.types import Matte, Planes

WINDOW_RADIUS = 10
"""Radius in px of the window in which the width of an edge is measured."""

FLAT = 1e-3
"""Gradients below this, per pixel, make no edge; keeps the width finite."""

TIGHT_PX, COARSE_PX = 2.75, 3.25
"""Widths in px of the picture up to which an edge is left alone and from which it may be fitted. At
100% zoom an edge of 1 px looks sharp; it measures up to 2.7, see `ramp_width`."""

FIRM_PX, LOOSE_PX = 3, 6
"""Widths in px of the network up to which an edge is firm and from which it is loose."""

LITTLE_EXPLAINED, WELL_EXPLAINED = 0.5, 0.75
"""Trust in the colours at and below which no fit counts, and from which it counts in full."""

GUIDE_SIDE_PX, EXPLAINED_RADIUS = 160, 12
"""Size of the guide and radius in px of the window in which its colours must explain the matte: so
small that a strand of hair and the gap beside it are one pixel, as in the haze a network sees."""


class Evidence(NamedTuple):
    """Where to refine, as planes `(h, w)` in [0, 1] of one size.

    `fitted` is the share of a guided filter, `loose` how loose the edge is, and `changed` where the
    matte may change at all: 0 there leaves the plain matte as it is, to the last pixel.
    """

    fitted: Matte
    loose: Matte
    changed: Matte


def weigh(matte: Matte, guide: Planes, picture_side: int) -> Evidence:
    """Weigh the evidence for a `matte` and a `guide` of one shape but different sizes.

    `guide` is the picture at `GUIDE_SIDE_PX`, RGB in [0, 1]; `picture_side` is the longest side of
    the picture in px. The matte has the resolution of the network, or the picture's if that is
    lower.
    """
    size = guide.shape[0], guide.shape[1]
    width = ramp_width(matte)
    wide = resize(_ramp(width, FIRM_PX, LOOSE_PX), size)
    width *= np.float32(picture_side / max(matte.shape))
    coarse = resize(_ramp(width, TIGHT_PX, COARSE_PX), size)
    trust = guided_filter.fit(guide, resize(matte, size), EXPLAINED_RADIUS).trust
    explained = _ramp(trust, LITTLE_EXPLAINED, WELL_EXPLAINED)
    fitted = explained * coarse
    return Evidence(fitted, explained * wide, np.maximum(fitted, wide))


def ramp_width(matte: Matte) -> Matte:
    """Width in px of the steepest ramps of a matte in [0, 1] around each pixel `(h, w)`.

    The matte's range in a window over its slope there, the mean of the gradient's length weighted
    by itself: in a window with several edges the steep ones count. The gradient is taken over 3 px,
    so that widths under 2 px measure 2 to 2.8.
    """
    window_px = (2 * WINDOW_RADIUS + 1,) * 2
    kernel = np.ones(window_px, np.uint8)
    across = cv2.Sobel(matte, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(matte, cv2.CV_32F, 0, 1, scale=1 / 8)
    length = cv2.magnitude(across, down, across)
    squares = cv2.multiply(length, length, dst=down)
    slope = np.asarray(cv2.blur(squares, window_px), np.float32)
    slope /= cv2.blur(length, window_px) + FLAT
    slope += np.float32(FLAT)
    levels = (matte * 255).astype(np.uint8)  # several times faster to dilate than float32
    reach = cv2.subtract(cv2.dilate(levels, kernel), cv2.erode(levels, kernel))
    width = reach * np.float32(1 / 255)
    width /= slope
    return np.asarray(width, np.float32)


def _ramp(values: Matte, low: float, high: float) -> Matte:
    scaled = cv2.addWeighted(values, 1 / (high - low), values, 0, -low / (high - low))
    return np.asarray(np.clip(scaled, 0, 1, out=scaled), np.float32)
