"""A network's small matte at the image's full size.

`upsample` is the plain way. `refine` lets the image's own edges steer the matte: guided filters
from coarse to fine at a small working size, whose last linear models are then applied to the full
image (fast guided filter, He and Sun 2015, arXiv:1505.00996). Three things differ from the paper:
the matte, which networks leave too soft, is steepened before each fit; where the colours do not
explain the matte (a shadow, a striped shirt, a background of the subject's colour) the upsampled
matte stays; and where the network's edge is loose (hair, fur, glass, a subject it was not sure of)
two wide filters come first and the matte is steepened less. Only the band where the network itself
was not sure is touched; a `selective` refinement also leaves alone the edges in it that are right
already, see `evidence`.
"""

from typing import Literal, NamedTuple

import cv2
import numpy as np

from rmbg_service.matting import evidence, guided_filter
from rmbg_service.matting.arrays import (
    UNIT,
    PairWindow,
    merge,
    reached_parts,
    resize,
    shrunk,
    size_within,
    touched_part,
    touched_tiles,
    window,
)
from rmbg_service.matting.evidence import FLAT, WINDOW_RADIUS, Evidence, gradient_length
from rmbg_service.types import Alpha, Matte, Planes, RgbImage

Refinement = Literal["plain", "guided", "selective"]
"""How a matte grows: interpolated; steered by the image's edges in all of its soft band; or only
in those parts of the band in which there is evidence that this helps."""

WORKING_SIDE_PX = 640
COARSE_SIDE_PX = 320
LOOSE_RADII, COARSE_RADII, FINE_RADIUS = (32, 16), (8, 4), 2
"""Filter radii in 1/320 of the long side, in order: those for loose edges only, the others at the
coarse size, and the last one at the working size."""

FIRM_WIDTH, LOOSE_WIDTH = 3, 6
"""Widths of the matte's edge, in 1/320 of the long side, up to which an edge is firm and from which
on it is wholly loose; see `looseness`."""

SURE_MARGIN = 0.02
"""The network is sure of a value this close to 0 or 1."""


class Steepening(NamedTuple):
    """How much a matte is steepened before a fit at firm and at loose edges, and without a fit."""

    firm: float
    loose: float
    unfitted: float


EVERYWHERE = Steepening(1.5, 1.15, 1.15)
SELECTIVE = Steepening(1.25, 1.0, 1.25)
"""A selective refinement fits loose edges only to colours that explain them, so less is enough, and
steepens without a fit only edges that are wide, so more is right."""

PRESENT = 38
"""Alpha, of 255, from which on a pixel is part of the subject: 15%."""

RIM = 0.004
"""Width of the rim that keeps its softness, as a part of the image's diagonal."""


class _Scale(NamedTuple):
    """The image, the network's matte, the band and the evidence at one working size `(h, w)`."""

    guide: Planes
    matte: Matte
    band: Matte
    fitted: Matte
    loose: Matte
    changed: Matte


class _Plan(NamedTuple):
    """What a step would do, at its working size.

    `model` `(h, w, 4)` predicts the matte from a colour; `mix` `(h, w, 2)` is the share of that
    prediction and what is added besides. Both parts of `mix` are 0 where nothing changes.
    """

    model: Planes
    mix: Planes


def to_full_size(rgb: RgbImage, matte: Matte, refinement: Refinement) -> Alpha:
    """Bring a matte of any size to the image's."""
    if refinement == "plain":
        return upsample(matte, (rgb.shape[0], rgb.shape[1]))
    return refine(rgb, matte, selective=refinement == "selective")


def upsample(matte: Matte, size: tuple[int, int]) -> Alpha:
    """Bring a matte of any size to `size`, `(height, width)`, without looking at the image."""
    coarse = np.round(np.clip(matte, 0, 1) * 255).astype(np.uint8)
    return np.asarray(resize(coarse, size), dtype=np.uint8)


def refine(rgb: RgbImage, matte: Matte, *, selective: bool = False) -> Alpha:
    """Bring a matte of any size to the image's, its soft band steered by the image's edges.

    `selective` leaves every part of the band as `upsample` makes it unless there is evidence in the
    image that refinement helps there.
    """
    height, width = rgb.shape[:2]
    alpha = upsample(matte, (height, width))
    unsure = ((matte > SURE_MARGIN) & (matte < 1 - SURE_MARGIN)).astype(np.uint8)
    if not unsure.any():
        return alpha
    band = cv2.dilate(unsure, np.ones((3, 3), np.uint8)).astype(np.float32)
    plan, changed = _plan(rgb, np.clip(matte, 0, 1), band, selective)
    mixes = PairWindow(plan.mix, (height, width))
    for tile, part in reached_parts(changed, (height, width)):
        model = window(plan.model, (height, width), part)
        change = _change(model, mixes.read(tile, part), rgb[part] * UNIT)
        change *= 255
        cv2.add(alpha[part], change, dst=alpha[part], dtype=cv2.CV_8U)
    return alpha


def make_opaque(alpha: Alpha) -> Alpha:
    """Alpha `(H, W)` uint8 that is opaque inside the subject and as soft as before at its rim.

    The inside is what lies deeper than the rim in the area in which alpha reaches 15%; over one
    more width of the rim, alpha rises to opaque. Fine hair is thinner than the rim and stays as it
    is.
    """
    present = cv2.threshold(alpha, PRESENT - 1, 255, cv2.THRESH_BINARY)[1]
    depth = cv2.distanceTransform(present, cv2.DIST_L2, 5)
    rim = max(1.0, RIM * float(np.hypot(*alpha.shape)))
    np.clip(depth, rim, 2.0 * rim, out=depth)
    np.subtract(depth, rim, out=depth)
    np.multiply(depth, 255.0 / rim, out=depth)
    return np.maximum(alpha, depth.astype(np.uint8))


def looseness(matte: Matte) -> Matte:
    """How loose the edge of a matte in [0, 1] is around each pixel `(h, w)`: 0 firm, 1 loose.

    The edge's width is the sum of `4 m (1 - m)` in a window over the sum of the gradient's length
    there, 2/3 of the width of a linear ramp; the matte's long side has `COARSE_SIDE_PX`. For the
    soft mattes of small networks, this tells loose edges from firm ones.
    """
    window_px = (2 * WINDOW_RADIUS + 1,) * 2
    rise = cv2.blur(gradient_length(matte), window_px)
    width = cv2.blur(4 * matte * (1 - matte), window_px) / (rise + FLAT)
    return np.asarray(np.clip((width - FIRM_WIDTH) / (LOOSE_WIDTH - FIRM_WIDTH), 0, 1))


def _plan(rgb: RgbImage, matte: Matte, band: Matte, selective: bool) -> tuple[_Plan, Matte]:
    """The guided filters from coarse to fine, and where they change anything (> 0)."""
    image = shrunk(rgb, WORKING_SIDE_PX)
    steepening = SELECTIVE if selective else EVERYWHERE
    weights = _weights(rgb, matte, selective)
    share = np.float32(weights.coarse)
    for_coarse = weights._replace(fitted=weights.fitted * share, changed=weights.changed * share)
    wide_size, size = (size_within(each.shape, COARSE_SIDE_PX) for each in (image, rgb))
    wide = coarse = _scale(image, matte, band, for_coarse, wide_size)
    if wide_size != size:  # rounded twice
        coarse = _scale(image, matte, band, for_coarse, size)
    refined = resize(_widely_fitted(wide, steepening), size)
    for radius in COARSE_RADII:
        model, mix = _step(coarse, refined, radius, steepening)
        refined = np.clip(coarse.matte + _change(model, mix, coarse.guide), 0, 1)
    fine = _scale(image, matte, band, weights, (image.shape[0], image.shape[1]))
    refined = resize(refined, (image.shape[0], image.shape[1]))
    return _step(fine, refined, FINE_RADIUS, steepening), fine.changed


def _weights(rgb: RgbImage, matte: Matte, selective: bool) -> Evidence:
    """Where to refine; everywhere unless `selective`."""
    if selective:
        image = shrunk(rgb, max(matte.shape))
        detailed = resize(matte, (image.shape[0], image.shape[1]))
        return evidence.weigh(detailed, image, max(rgb.shape[:2]))
    loose = looseness(resize(matte, size_within(rgb.shape, COARSE_SIDE_PX)))
    everywhere = np.ones_like(loose)
    return Evidence(everywhere, loose, everywhere)


def _scale(
    image: RgbImage, matte: Matte, band: Matte, weights: Evidence, size: tuple[int, int]
) -> _Scale:
    band, fitted, loose, changed = (
        resize(plane, size, cv2.INTER_LINEAR)
        for plane in (band, weights.fitted, weights.loose, weights.changed)
    )
    guide = resize(image, size) * UNIT
    return _Scale(guide, resize(matte, size), band, band * fitted, loose, band * changed)


def _widely_fitted(scale: _Scale, steepening: Steepening) -> Matte:
    """The matte, drawn by wide filters to the colours where it is loose."""
    touched = scale.loose * scale.band
    refined = scale.matte
    for radius in LOOSE_RADII if touched.any() else ():
        steep, radius_px = _fit_input(scale, refined, radius, steepening)
        model, trust = guided_filter.fit(scale.guide, steep, radius_px)
        refined = refined + touched * trust * (guided_filter.apply(model, scale.guide) - refined)
    return refined


def _step(scale: _Scale, refined: Matte, radius: int, steepening: Steepening) -> _Plan:
    """Fit what is `refined` so far to the colours, where the matte may change."""
    size = refined.shape[0], refined.shape[1]
    plan = _Plan(np.zeros((*size, 4), np.float32), np.zeros((*size, 2), np.float32))
    steep, radius_px = _fit_input(scale, refined, radius, steepening)
    for tile in touched_tiles(scale.changed, size):
        part = touched_part(scale.changed, tile)
        plan.model[part], trust = guided_filter.fit_part(scale.guide, steep, radius_px, part)
        share, here = trust * scale.fitted[part], scale.changed[part]
        added = (here - share) * _steepen(refined[part], steepening.unfitted)
        plan.mix[part] = merge([share, added - here * scale.matte[part]])
    return plan


def _change(model: Planes, mix: Planes, guide: Planes) -> Matte:
    """What a step adds to the matte of a `guide` `(h, w, 3)`; see `_Plan`."""
    change = guided_filter.apply(model, guide)
    change *= mix[..., 0]
    change += mix[..., 1]
    return change


def _fit_input(
    scale: _Scale, refined: Matte, radius: int, steepening: Steepening
) -> tuple[Matte, int]:
    """The matte to fit, and the radius in px."""
    factor = steepening.firm - (steepening.firm - steepening.loose) * scale.loose
    radius_px = max(1, round(radius * max(refined.shape) / COARSE_SIDE_PX))
    return _steepen(refined, factor), radius_px


def _steepen(matte: Matte, factor: float | Matte) -> Matte:
    return np.asarray(np.clip((matte - 0.5) * factor + 0.5, 0, 1))
