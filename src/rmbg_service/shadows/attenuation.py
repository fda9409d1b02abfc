"""The attenuation of the floor's light that looks like the subject's shadow.

A shadow is clearly darker than the floor's texture, is connected with the foot, and keeps the
floor's colour.
"""

from typing import NamedTuple

import cv2
import numpy as np

from rmbg_service.matting.arrays import split
from rmbg_service.shadows.confidence import shadow_confidence
from rmbg_service.shadows.contact import ContactArea, dilated
from rmbg_service.shadows.texture import ENOUGH_LIT, MIN_LIT, SMOOTHING_PX, FloorTexture
from rmbg_service.types import BoolMask, Matte, Planes

MIN_DEPTH, MIN_PEAK = 0.07, 0.12
"""Attenuation, in logarithms of light, of a shadow anywhere, and at its darkest."""

OVER_TEXTURE, PEAK_OVER_TEXTURE = 1.2, 2.0
"""The same in units of the floor's texture."""

MAX_TEXTURE = 0.4
DARKEST_FAR, FAR = 0.1, 0.1
"""A shadow leaves at least this share of the light farther away than this from the foot."""

TINT = 0.06
BLUER_SHARE, WARMER_SHARE, GREENER_SHARE = 0.35, 0.25, 0.06
MAX_TINT = 0.4
"""How far the channels may be apart: absolutely, as shares of the attenuation, and at most."""

MAX_OBJECT = 0.15
"""Share of a dark area that may have another colour than the floor, or be black."""

OBJECT_RIM_PX = 3
MIN_CONTACT_PX, MIN_PEAK_PX = 3, 6
MIN_CONFIDENCE = 0.6
MAX_AREA = 3.0
"""Areas of the subject."""


class Attenuation(NamedTuple):
    """Where the shadow is, at the working size.

    `shadow` `(h, w)`; `share` `(h, w)` in [0, 1], how much of the attenuation counts at each pixel;
    `blur`, the spread in px that the floor's texture needs; `grained`, whether it needs one at all;
    `confidence` in [0, 1].
    """

    shadow: BoolMask
    share: Matte
    blur: float
    grained: bool
    confidence: float


def find_attenuation(texture: FloorTexture, contact: ContactArea) -> Attenuation | str:
    """The shadow on a floor of `texture`, or the reason why there is none."""
    strength, depth = texture.strength, texture.depth
    if np.isinf(strength):
        return "no-floor"
    if strength > MAX_TEXTURE:
        return "textured-floor"
    low = max(MIN_DEPTH, OVER_TEXTURE * strength)
    peak = max(MIN_PEAK, PEAK_OVER_TEXTURE * strength)
    dark = (depth > low) & texture.floor
    black = (depth > -np.log(DARKEST_FAR)) & (contact.distance > FAR)
    objects = dark & (_recoloured(texture.attenuation, depth, strength) | black)
    shadow = _attached(dark, objects, depth > peak, contact.foot) & ~dilated(objects, OBJECT_RIM_PX)
    if not shadow.any():
        return "no-shadow"
    if np.count_nonzero(shadow) > MAX_AREA * contact.area:
        return "too-large"
    confidence = shadow_confidence(shadow, dark, texture, contact)
    if confidence < MIN_CONFIDENCE:
        return "weak-evidence"
    doubtful = max(MIN_DEPTH / 2, OVER_TEXTURE * strength)
    share = np.clip(depth / doubtful - 1, 0, 1)
    share *= np.clip((texture.lit_share - MIN_LIT) / (ENOUGH_LIT - MIN_LIT), 0, 1)
    grained = texture.blur > SMOOTHING_PX[0]
    return Attenuation(shadow, share, texture.blur, grained, confidence)


def _attached(dark: BoolMask, objects: BoolMask, strong: BoolMask, foot: BoolMask) -> BoolMask:
    """The areas of `dark` that touch the foot, are strong somewhere and are not objects."""
    count, labels = cv2.connectedComponents(dark.astype(np.uint8), connectivity=8)
    touches = np.bincount(labels[foot], minlength=count) >= MIN_CONTACT_PX
    deep = np.bincount(labels[strong & dark], minlength=count) >= MIN_PEAK_PX
    sizes = np.bincount(labels.ravel(), minlength=count)
    is_object = np.bincount(labels[objects], minlength=count) > MAX_OBJECT * sizes
    keep = touches & deep & ~is_object
    keep[0] = False
    return np.asarray(keep[labels])


def _recoloured(attenuation: Planes, depth: Matte, strength: float) -> BoolMask:
    """Where the attenuation has changed the colour more than light does.

    The light inside a shadow is bluer, or sometimes warmer, than the light it lacks, so the colour
    moves along the line of black bodies; it hardly ever turns green or magenta.
    """
    r, g, b = split(attenuation)
    bluer, greener = r - b, (r + b) / 2 - g
    slack = TINT + 0.5 * strength
    return np.asarray(
        (bluer > slack + np.minimum(BLUER_SHARE * depth, MAX_TINT))
        | (-bluer > slack + np.minimum(WARMER_SHARE * depth, MAX_TINT))
        | (np.abs(greener) > slack + np.minimum(GREENER_SHARE * depth, MAX_TINT))
    )
