"""What on the floor is darker than the lit floor, and looks like the subject's shadow.

What counts must be clearly darker than the floor's texture, hang together with the foot, and keep
the floor's colour as light does.
"""

from typing import NamedTuple

import cv2
import numpy as np

from rmbg_service.matting.arrays import split
from rmbg_service.shadows.confidence import confidence
from rmbg_service.shadows.contact import Stand, grown
from rmbg_service.shadows.texture import ENOUGH_LIT, LEAST_LIT, SMOOTHING_PX, Relief
from rmbg_service.types import BoolMask, Matte, Planes

LEAST_DEPTH, LEAST_PEAK = 0.07, 0.12
"""Darkening, in logarithms of light, of a shadow anywhere, and at its darkest."""

OVER_TEXTURE, PEAK_OVER_TEXTURE = 1.2, 2.0
"""The same in units of the floor's texture."""

MOST_TEXTURE = 0.4
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
LEAST_CONFIDENCE = 0.6
LARGEST_AREA = 3.0
"""Areas of the subject."""


class Darkening(NamedTuple):
    """Where the shadow is, at the working size.

    `kept` `(h, w)`; `share` `(h, w)` in [0, 1], how much of the darkening counts at each pixel;
    `blur` the spread in px that the floor's texture needs, `grained` whether it needs one at all;
    `confidence` in [0, 1].
    """

    kept: BoolMask
    share: Matte
    blur: float
    grained: bool
    confidence: float


def find_darkening(relief: Relief, stand: Stand) -> Darkening | str:
    """The shadow in `relief`, or the reason why there is none."""
    texture, depth = relief.texture, relief.depth
    if np.isinf(texture):
        return "no-floor"
    if texture > MOST_TEXTURE:
        return "textured-floor"
    low = max(LEAST_DEPTH, OVER_TEXTURE * texture)
    peak = max(LEAST_PEAK, PEAK_OVER_TEXTURE * texture)
    dark = (depth > low) & relief.ground
    black = (depth > -np.log(DARKEST_AWAY)) & (stand.away > AWAY)
    thing = dark & (_recoloured(relief.rest, depth, texture) | black)
    kept = _attached(dark, thing, depth > peak, stand.foot) & ~grown(thing, THING_RIM_PX)
    if not kept.any():
        return "no-shadow"
    if np.count_nonzero(kept) > LARGEST_AREA * stand.area:
        return "too-large"
    sure = confidence(kept, dark, relief, stand)
    if sure < LEAST_CONFIDENCE:
        return "weak-evidence"
    doubtful = max(LEAST_DEPTH / 2, OVER_TEXTURE * texture)
    share = np.clip(depth / doubtful - 1, 0, 1)
    share *= np.clip((relief.seen - LEAST_LIT) / (ENOUGH_LIT - LEAST_LIT), 0, 1)
    return Darkening(kept, share, relief.blur, relief.blur > SMOOTHING_PX[0], sure)


def _attached(dark: BoolMask, thing: BoolMask, strong: BoolMask, foot: BoolMask) -> BoolMask:
    """The parts of `dark` that touch the foot, are strong somewhere and are not things."""
    count, labels = cv2.connectedComponents(dark.astype(np.uint8), connectivity=8)
    touches = np.bincount(labels[foot], minlength=count) >= LEAST_CONTACT_PX
    deep = np.bincount(labels[strong & dark], minlength=count) >= LEAST_PEAK_PX
    sizes = np.bincount(labels.ravel(), minlength=count)
    things = np.bincount(labels[thing], minlength=count) > MOST_THING * sizes
    keep = touches & deep & ~things
    keep[0] = False
    return np.asarray(keep[labels])


def _recoloured(rest: Planes, depth: Matte, texture: float) -> BoolMask:
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
