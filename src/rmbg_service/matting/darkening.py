"""What on the floor is darker than the lit floor, and looks like the subject's shadow.

How dark a floor gets without a shadow is measured around the foot; what counts must be clearly
darker, hang together with the foot, and keep the floor's colour as light does.
"""

from typing import NamedTuple

import cv2
import numpy as np

from rmbg_service.matting.arrays import Flags, Planes, split
from rmbg_service.matting.floor import Floor
from rmbg_service.matting.stand import Stand, grown
from rmbg_service.models.predictor import Matte

LEAST_LIT, ENOUGH_LIT = 0.1, 0.2
"""Share of lit floor around a pixel below which it is no floor, from which it surely is."""

LEAST_DEPTH, LEAST_PEAK = 0.07, 0.12
"""Darkening, in logarithms of light, of a shadow anywhere, and at its darkest."""

OVER_TEXTURE, PEAK_OVER_TEXTURE = 1.4, 2.5
"""The same in units of the floor's texture."""

SMOOTHING_PX = (1.0, 2.5, 5.0)
WORTH_SMOOTHING = 1.25
LITTLE_TEXTURE, MOST_TEXTURE = 0.06, 0.4
DIRECTIONS = 12
TOUCHING = (0.08, 1.5)
"""Between these distances from the foot, in sizes of the subject, the texture is measured."""

LEAST_GROUND_PX, LEAST_SECTOR_PX, LEAST_SECTORS = 200, 40, 3

DARKEST_AWAY, AWAY = 0.1, 0.1
"""A shadow leaves at least this share of the light farther away than this from the foot."""

TINT = 0.06
BLUER_SHARE, WARMER_SHARE, GREENER_SHARE = 0.35, 0.25, 0.06
MOST_TINT = 0.4
"""How far the channels may be apart: absolutely, as shares of the darkening, and at most."""

MOST_THING = 0.15
"""Share of a dark part that may have another colour than the floor, or be black."""

THING_RIM_PX = 3
LEAST_CONTACT_PX, LEAST_PEAK_PX = 3, 6
LEAST_CONFIDENCE = 0.7
LARGEST_AREA = 3.0
"""Areas of the subject."""


class Darkening(NamedTuple):
    """Where the shadow is, at the working size.

    `kept` `(h, w)`; `share` `(h, w)` in [0, 1], how much of the darkening counts at each pixel;
    `blur` the spread in px that the floor's texture needs, `grained` whether it needs one at all;
    `confidence` in [0, 1] from the shadow's depth in units of the texture.
    """

    kept: Flags
    share: Matte
    blur: float
    grained: bool
    confidence: float


def find_darkening(log_light: Planes, floor: Floor, stand: Stand) -> Darkening | str:
    """The shadow in `log_light` `(h, w, 3)`, or the reason why there is none."""
    rest = floor.log_light - log_light
    free = (~stand.covered).astype(np.float32)
    seen = _lit_around(floor.lit, free, stand.area**0.5)
    ground = (seen > LEAST_LIT) & ~stand.covered
    soft, texture, blur = _without_texture(rest, free, ground, stand)
    if np.isinf(texture):
        return "no-floor"
    if texture > MOST_TEXTURE:
        return "textured-floor"
    depth = _depth(soft)
    low, peak = (
        max(LEAST_DEPTH, OVER_TEXTURE * texture),
        max(LEAST_PEAK, PEAK_OVER_TEXTURE * texture),
    )
    dark = (depth > low) & ground
    black = (depth > -np.log(DARKEST_AWAY)) & (stand.away > AWAY)
    thing = dark & (_recoloured(soft, depth, texture) | black)
    kept = _attached(dark, thing, depth > peak, stand.foot) & ~grown(thing, THING_RIM_PX)
    if not kept.any():
        return "no-shadow"
    if np.count_nonzero(kept) > LARGEST_AREA * stand.area:
        return "too-large"
    confidence = float(1 - np.exp(-np.median(depth[kept]) / (2 * texture)))
    if confidence < LEAST_CONFIDENCE:
        return "weak-evidence"
    doubtful = max(LEAST_DEPTH / 2, OVER_TEXTURE * texture)
    sure = np.clip(depth / doubtful - 1, 0, 1)
    sure *= np.clip((seen - LEAST_LIT) / (ENOUGH_LIT - LEAST_LIT), 0, 1)
    return Darkening(kept, sure, blur, blur > SMOOTHING_PX[0], confidence)


def _lit_around(lit: Flags, free: Matte, side: float) -> Matte:
    """The share of lit floor in a window around each pixel, of what the subject leaves free.

    The window is wide along the floor and narrow up the wall.
    """
    size = max(1, free.shape[1] // 4), max(1, free.shape[0] // 4)

    def mean(plane: Matte) -> Matte:
        small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
        wide = cv2.GaussianBlur(small, (0, 0), 0.15 * side + 1, sigmaY=0.04 * side + 1)
        return np.asarray(cv2.resize(wide, plane.shape[::-1], interpolation=cv2.INTER_LINEAR))

    return np.asarray(mean(lit * free) / (mean(free) + 1e-3), np.float32)


def _without_texture(
    rest: Planes, free: Matte, ground: Flags, stand: Stand
) -> tuple[Planes, float, float]:
    """`rest` smoothed as much as the floor's texture needs, what is left of it, and the blur.

    Smoothing helps against grain, not against what is as wide as a shadow itself.
    """
    smoothed = [_blurred(rest, free, sigma) for sigma in SMOOTHING_PX]
    textures = [_texture(_depth(soft), ground, stand) for soft in smoothed]
    enough = max(LITTLE_TEXTURE, WORTH_SMOOTHING * textures[-1])
    chosen = next(i for i, texture in enumerate(textures) if texture <= enough)
    return smoothed[chosen], textures[chosen], SMOOTHING_PX[chosen]


def _texture(depth: Matte, ground: Flags, stand: Stand) -> float:
    """How dark the floor gets without a shadow.

    A shadow lies to one side of the foot, texture to all: the median over the directions of the
    darkness that 5 % of the pixels exceed. Infinite where too little floor is seen.
    """
    rows, columns = np.nonzero(stand.foot)
    y, x = np.nonzero(ground & (stand.away > TOUCHING[0]) & (stand.away < TOUCHING[1]))
    if y.size < LEAST_GROUND_PX:
        return np.inf
    turn = np.arctan2(2 * (y - rows.mean()), x - columns.mean())
    sector = ((turn / (2 * np.pi) + 0.5) * DIRECTIONS).astype(int) % DIRECTIONS
    values = depth[y, x]
    levels = [
        np.percentile(v, 95)
        for k in range(DIRECTIONS)
        if (v := values[sector == k]).size > LEAST_SECTOR_PX
    ]
    return float(max(np.median(levels), 0.01)) if len(levels) >= LEAST_SECTORS else np.inf


def _attached(dark: Flags, thing: Flags, strong: Flags, foot: Flags) -> Flags:
    """The parts of `dark` that touch the foot, are strong somewhere and are not things."""
    count, labels = cv2.connectedComponents(dark.astype(np.uint8), connectivity=8)
    touches = np.bincount(labels[foot], minlength=count) >= LEAST_CONTACT_PX
    deep = np.bincount(labels[strong & dark], minlength=count) >= LEAST_PEAK_PX
    sizes = np.bincount(labels.ravel(), minlength=count)
    things = np.bincount(labels[thing], minlength=count) > MOST_THING * sizes
    keep = touches & deep & ~things
    keep[0] = False
    return np.asarray(keep[labels])


def _depth(rest: Planes) -> Matte:
    """The mean darkening of the channels."""
    r, g, b = split(rest)
    return np.asarray((r + g + b) / 3, np.float32)


def _recoloured(rest: Planes, depth: Matte, texture: float) -> Flags:
    """Where the darkening has changed the colour more than light does.

    What lights a shadow is warmer or, mostly, bluer than what it lacks, so its colour moves along
    the line of black bodies; hardly ever does it turn green or magenta.
    """
    r, g, b = split(rest)
    bluer, greener = r - b, (r + b) / 2 - g
    slack = TINT + 0.5 * texture
    return np.asarray(
        (bluer > slack + np.minimum(BLUER_SHARE * depth, MOST_TINT))
        | (-bluer > slack + np.minimum(WARMER_SHARE * depth, MOST_TINT))
        | (np.abs(greener) > slack + np.minimum(GREENER_SHARE * depth, MOST_TINT))
    )


def _blurred(planes: Planes, weight: Matte, sigma: float) -> Planes:
    total = cv2.GaussianBlur(weight, (0, 0), sigma) + 1e-4
    blurred = cv2.GaussianBlur(planes * weight[..., None], (0, 0), sigma)
    return np.asarray(blurred / total[..., None], np.float32)
