"""The shadow the subject really casts, as a black layer to put under the cutout.

A shadow takes away a share of the floor's light. The floor as it would be lit is estimated at a
small working size (`matting/floor.py`); what is darker than it, has kept its colour, and hangs
together with the subject's foot is the shadow. Its alpha is such that black over the lit floor, in
the encoded values in which pictures are composited, comes closest to what was seen. The estimate is
small, the picture large: what is applied to the picture is the floor, so the shadow's own edges
stay sharp; on a textured floor, whose texture would be taken for shadow, a smoothed alpha is.

A wrong shadow is worse than none, so poor evidence means no shadow, and a reason.
"""

from typing import Literal, NamedTuple

import cv2
import numpy as np

from rmbg_service.imaging.cutout import SHADOW_BOX_THRESHOLD, Shadow, box_of
from rmbg_service.imaging.light import to_encoded, to_linear
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
from rmbg_service.matting.floor import Flags, Floor, fit_floor
from rmbg_service.models.predictor import Matte

WORKING_SIDE_PX = 384
LEAST_ALPHA = 1 / 510

SUBJECT_FREE, FREE_LEVEL = 0.04, 5
"""Alpha up to which a pixel shows the floor: at the working size, and of 255 at full size."""

CARRIED_PX = 4.0
FOOT = 0.3
"""The lower part of the subject's height that may touch the floor."""

REACH = 0.9
"""How far around the foot the floor is looked for, in sizes of the subject."""

FAR, TOO_FAR = 1.5, 2.5
"""Sizes of the subject between which a shadow fades out."""

DARKEST_AWAY = 0.1
"""Away from the foot no shadow takes more light than all but this; a darker thing is an object."""

LEAST_DEPTH = 0.07
"""Darkening, in logarithms of light, below which nothing is called a shadow."""

LEAST_FLOOR = 0.35
LEAST_LIT, ENOUGH_LIT = 0.1, 0.2
LARGEST_AREA = 3.0
"""Areas of the subject."""

MOST_TINT = 0.4
MOST_THING = 0.15
"""Share of a dark part that may have another colour than the floor, or be black."""

SMOOTHING_PX = (1.0, 2.5, 5.0)
LITTLE_TEXTURE, MOST_TEXTURE = 0.06, 0.4
WORTH_SMOOTHING = 1.25
DIRECTIONS = 12

TINT_TOLERANCE, TINT_SHARE = 0.08, 0.28
"""How far the channels may be apart, absolutely and as a share of the darkening."""


class _Estimate(NamedTuple):
    """The shadow at the working size: what is needed to carry it to the full picture.

    `project` `(h, w, 3)` gives the light that is left as `sum(project * rgb)`; `smooth` `(h, w)` is
    the alpha without the floor's texture, also under the subject's edge; `gate` `(h, w)` where the
    shadow may be; `sharp` says whether the floor is so plain that the picture's own detail counts.
    """

    project: Planes
    smooth: Matte
    gate: Matte
    sharp: bool


def keep_shadow(rgb: Picture, alpha: Alpha) -> Shadow:
    """Find the shadow of the subject `alpha` `(H, W)` in the picture `rgb` `(H, W, 3)`."""
    estimate = _estimate(rgb, alpha)
    if isinstance(estimate, str):
        return Shadow("keep", reason=estimate)
    found, confidence = estimate
    return measured("keep", _full_size(rgb, alpha, found), confidence)


def measured(kind: Literal["keep", "drop"], alpha: Alpha, confidence: float) -> Shadow:
    """The shadow `alpha` with its box and density."""
    box = box_of(alpha, SHADOW_BOX_THRESHOLD)
    if box is None:
        return Shadow(kind, reason="no-shadow")
    dense = cv2.inRange(alpha, SHADOW_BOX_THRESHOLD, 255).astype(np.uint8, copy=False)
    return Shadow(kind, alpha, box, cv2.mean(alpha, dense)[0] / 255, confidence)


def _estimate(rgb: Picture, alpha: Alpha) -> tuple[_Estimate, float] | str:
    """The shadow at the working size and how sure it is, or the reason why there is none."""
    scale = min(1.0, WORKING_SIDE_PX / max(alpha.shape))
    size = max(1, round(alpha.shape[0] * scale)), max(1, round(alpha.shape[1] * scale))
    matte = resize(alpha, size) * UNIT
    encoded = resize(rgb, size) * UNIT
    subject = matte > 0.5
    if np.count_nonzero(subject) < 30:
        return "no-subject"
    _, top, width, height = cv2.boundingRect(subject.astype(np.uint8))
    reach = float(np.sqrt(width * height))
    covered = _grown(matte > SUBJECT_FREE, 1)
    rim = _grown(covered, 1) & ~covered
    foot = rim.copy()
    foot[: round(top + (1 - FOOT) * height)] = False
    if not foot.any():
        return "no-floor"
    away = cv2.distanceTransform((~foot).astype(np.uint8), cv2.DIST_L2, 3)
    rows = np.arange(size[0], dtype=np.float32)[:, None]
    floorward = np.clip((rows - (top + 0.5 * height)) / (0.3 * height), 0, 1)
    zone = np.exp(-0.5 * np.square(away / (REACH * reach))) * floorward * ~covered
    log_light = np.log(to_linear(encoded) + np.float32(0.003))
    floor = fit_floor(log_light, zone.astype(np.float32))
    if floor is None or floor.share < LEAST_FLOOR:
        return "no-floor"
    return _shadow_of(
        encoded, matte, log_light, floor, covered, foot, np.asarray(away / reach, np.float32)
    )


def _shadow_of(
    encoded: Planes,
    matte: Matte,
    log_light: Planes,
    floor: Floor,
    covered: Flags,
    foot: Flags,
    away: Matte,
) -> tuple[_Estimate, float] | str:
    rest = floor.log_light - log_light
    free = (~covered).astype(np.float32)
    area = np.count_nonzero(matte > 0.5)
    seen = _seen_floor(floor.lit, free, area**0.5)
    soft, texture, sigma = _without_texture(rest, free, (seen > LEAST_LIT) & ~covered, foot, away)
    if texture > MOST_TEXTURE:
        return "textured-floor"
    depth, tint = _depth_and_tint(soft)
    low, high = max(LEAST_DEPTH, 1.4 * texture), max(0.12, 2.5 * texture)
    dark = (depth > low) & ~covered & (seen > LEAST_LIT)
    tolerated = np.minimum(TINT_TOLERANCE + TINT_SHARE * depth, MOST_TINT) + 0.5 * texture
    black = (depth > -np.log(DARKEST_AWAY)) & (away > 0.1)
    thing = dark & ((tint > tolerated) | black)
    kept = _attached(dark, thing, depth > high, foot)
    kept &= ~_grown(thing, 3)
    if not kept.any():
        return "no-shadow"
    if np.count_nonzero(kept) > LARGEST_AREA * area:
        return "too-large"
    strength = float(np.median(depth[kept]))
    confidence = float(np.clip(1 - np.exp(-strength / (2 * texture)), 0, 1))
    sure = np.clip((depth - 0.5 * low) / (0.5 * low), 0, 1)
    fade = np.clip((TOO_FAR - away) / (TOO_FAR - FAR), 0, 1)
    fade *= np.clip((seen - LEAST_LIT) / (ENOUGH_LIT - LEAST_LIT), 0, 1)
    near = _grown(kept, 2)
    gate = cv2.GaussianBlur(near.astype(np.float32), (0, 0), 1.0) * fade
    lit = to_encoded(np.exp(floor.log_light) - np.float32(0.003))
    lit = np.clip(lit, 0.02, 1)
    project = lit / np.square(lit).sum(axis=2, keepdims=True)
    here = np.clip(1 - (project * encoded).sum(axis=2), 0, 1) * sure
    inside = (near & ~covered) * here * fade
    smooth = _filled(inside.astype(np.float32), covered, min(sigma, 2.5))
    sharp = sigma == SMOOTHING_PX[0]
    return _Estimate(project, smooth, gate.astype(np.float32), sharp), confidence


def _seen_floor(lit: Flags, free: Matte, side: float) -> Matte:
    """The share of lit floor in a wide window around each pixel, of what the subject leaves."""
    sigmas = (0.6 * side, 0.15 * side)  # wide along the floor, narrow up the wall

    def mean(plane: Matte) -> Matte:
        small = cv2.resize(plane, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        wide = cv2.GaussianBlur(small, (0, 0), sigmas[0] / 4 + 1, sigmaY=sigmas[1] / 4 + 1)
        return np.asarray(cv2.resize(wide, plane.shape[::-1], interpolation=cv2.INTER_LINEAR))

    return np.asarray(mean(lit * free) / (mean(free) + 1e-3), np.float32)


def _without_texture(
    rest: Planes, free: Matte, ground: Flags, foot: Flags, away: Matte
) -> tuple[Planes, float, float]:
    """`rest` smoothed as much as the floor's texture needs, what is left of it, and the blur.

    Smoothing helps against grain, not against what is as wide as a shadow itself.
    """
    smoothed = [_blurred(rest, free, sigma) for sigma in SMOOTHING_PX]
    textures = [_texture(_depth_and_tint(soft)[0], ground, foot, away) for soft in smoothed]
    enough = max(LITTLE_TEXTURE, WORTH_SMOOTHING * textures[-1])
    chosen = next(i for i, texture in enumerate(textures) if texture <= enough)
    return smoothed[chosen], textures[chosen], SMOOTHING_PX[chosen]


def _texture(depth: Matte, ground: Flags, foot: Flags, away: Matte) -> float:
    """How dark the floor gets without a shadow.

    A shadow lies to one side of the foot, texture to all: the median over the directions of the
    darkness that 5 % of the pixels exceed.
    """
    rows, columns = np.nonzero(foot)
    y, x = np.nonzero(ground & (away > 0.08) & (away < 1.5))
    if y.size < 200:
        return 1.0
    turn = np.arctan2(2 * (y - rows.mean()), x - columns.mean())
    sector = ((turn / (2 * np.pi) + 0.5) * DIRECTIONS).astype(int) % DIRECTIONS
    values = depth[y, x]
    levels = [
        np.percentile(v, 95) for k in range(DIRECTIONS) if (v := values[sector == k]).size > 40
    ]
    return float(max(np.median(levels), 0.01)) if len(levels) > 2 else 1.0


def _depth_and_tint(rest: Planes) -> tuple[Matte, Matte]:
    """The mean of the channels and how far they are apart."""
    r, g, b = split(rest)
    darkest, brightest = np.minimum(np.minimum(r, g), b), np.maximum(np.maximum(r, g), b)
    return (r + g + b) / 3, brightest - darkest


def _grown(flags: Flags, pixels: int) -> Flags:
    kernel = np.ones((2 * pixels + 1,) * 2, np.uint8)
    return np.asarray(cv2.dilate(flags.astype(np.uint8), kernel) > 0)


def _attached(dark: Flags, thing: Flags, strong: Flags, foot: Flags) -> Flags:
    """The parts of `dark` that touch the foot, are strong somewhere and are not things."""
    count, labels = cv2.connectedComponents(dark.astype(np.uint8), connectivity=8)
    touches = np.bincount(labels[foot], minlength=count) >= 3
    deep = np.bincount(labels[strong & dark], minlength=count) >= 6
    sizes = np.bincount(labels.ravel(), minlength=count)
    things = np.bincount(labels[thing], minlength=count) > MOST_THING * sizes
    keep = touches & deep & ~things
    keep[0] = False
    return np.asarray(keep[labels])


def _blurred(planes: Planes, weight: Matte, sigma: float) -> Planes:
    total = cv2.GaussianBlur(weight, (0, 0), sigma) + 1e-4
    blurred = cv2.GaussianBlur(planes * weight[..., None], (0, 0), sigma)
    return np.asarray(blurred / total[..., None], np.float32)


def _filled(values: Matte, covered: Flags, sigma: float) -> Matte:
    """`values` smoothed, and carried on a little under what is covered."""
    away, nearest = cv2.distanceTransformWithLabels(
        covered.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    by_label = np.zeros(int(nearest.max()) + 1, np.float32)
    by_label[nearest[~covered]] = values[~covered]
    carried = by_label[nearest] * np.exp(-np.square(away / CARRIED_PX))
    return np.asarray(cv2.GaussianBlur(carried, (0, 0), sigma), np.float32)


def _full_size(rgb: Picture, alpha: Alpha, estimate: _Estimate) -> Alpha:
    """The shadow's alpha for the whole picture, tile by tile where there is any; 0 under `alpha`."""
    size = rgb.shape[0], rgb.shape[1]
    layer = np.zeros(size, np.uint8)
    reached = (np.maximum(estimate.smooth, estimate.gate) > LEAST_ALPHA).astype(np.float32)
    planes = merge([*split(estimate.project), estimate.smooth, estimate.gate])
    for top, left in touched_tiles(reached, size):
        part = slice(top, top + TILE_PX), slice(left, left + TILE_PX)
        tile, subject = rgb[part] * UNIT, alpha[part]
        here = window(planes, size, (top, left), tile.shape)
        *project, shadow, gate = split(here)
        if estimate.sharp:
            light = sum(p * c for p, c in zip(project, split(tile), strict=True))
            shadow = np.where(subject <= FREE_LEVEL, gate * np.clip(1 - light, 0, 1), shadow)
        layer[part] = np.where(subject < 255, np.rint(255 * shadow), 0)
    return layer
