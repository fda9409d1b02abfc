"""The confidence that a dark area of the floor is the subject's shadow.

Four ratios, each of which a shadow makes large: its depth to the floor's texture; the steepness of
its border to the steepness of the lit floor, since stains of a floor are dark but not steep; how
much of the foot it touches, since an object beside the subject touches it in a point; its weight to
that of the heaviest dark area elsewhere. The exponents come from a logistic regression over
synthetic scenes.
"""

import cv2
import numpy as np

from rmbg_service.shadows.contact import ContactArea, dilated
from rmbg_service.shadows.texture import ENOUGH_LIT, FloorTexture
from rmbg_service.types import BoolMask

DEPTH, EDGE, TOUCH, WEIGHT = 0.5, 1.5, 1.5, 0.25
"""Exponents of the four ratios."""

MAX_DEPTH, MIN_EDGE, MAX_EDGE, MIN_TOUCH = 8.0, 0.3, 5.0, 0.02
MIN_WEIGHT, MAX_WEIGHT = 0.2, 20.0

EDGE_PX = 2.5
"""Spread of the image in which steepness is measured."""

MIN_STEEPNESS = 0.004
"""Logarithms of light per px."""

STEEP_SHARE = 75
"""Percentile of the lit floor's steepness."""

RIM_PX = 3
"""How far a border is kept from the subject's, and the lit floor from dark areas."""

MIN_BORDER_PX, MIN_LIT_PX = 5, 50
UNKNOWN_EDGE = 1.0
"""Of a contact shadow so narrow that it has no border apart from the subject's."""

NEAR = 1.5
"""Sizes of the subject within which other dark areas count."""


def shadow_confidence(
    shadow: BoolMask, dark: BoolMask, texture: FloorTexture, contact: ContactArea
) -> float:
    """The confidence in [0, 1] that `shadow` `(h, w)`, a part of `dark` `(h, w)`, is one."""
    depth = texture.depth[shadow]
    ratios = (
        (DEPTH, np.clip(np.median(depth) / texture.strength, 1, MAX_DEPTH)),
        (EDGE, np.clip(_steepness(shadow, dark, texture, contact), MIN_EDGE, MAX_EDGE)),
        (TOUCH, max(_touched(shadow, contact), MIN_TOUCH)),
        (WEIGHT, np.clip(_weight(shadow, dark, texture, contact), MIN_WEIGHT, MAX_WEIGHT)),
    )
    odds = np.prod([ratio**exponent for exponent, ratio in ratios])
    return float(odds / (1 + odds))


def _steepness(
    shadow: BoolMask, dark: BoolMask, texture: FloorTexture, contact: ContactArea
) -> float:
    """The border's median steepness in units of the lit floor's."""
    free = (~contact.covered).astype(np.float32)
    seen = cv2.GaussianBlur(free, (0, 0), EDGE_PX) + 1e-3
    soft = cv2.GaussianBlur(texture.depth * free, (0, 0), EDGE_PX) / seen
    across = cv2.Sobel(soft, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(soft, cv2.CV_32F, 0, 1, scale=1 / 8)
    steep = np.hypot(across, down)
    apart = texture.floor & ~dilated(contact.covered, RIM_PX)
    inner = cv2.erode(shadow.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    border = dilated(shadow, 1) & ~inner & apart
    level = max(2 * texture.strength, 0.1)
    lit = (
        apart & (np.abs(texture.depth) < level) & ~dilated(dark, RIM_PX) & (contact.distance < NEAR)
    )
    if np.count_nonzero(border) < MIN_BORDER_PX or np.count_nonzero(lit) < MIN_LIT_PX:
        return UNKNOWN_EDGE
    usual = max(float(np.percentile(steep[lit], STEEP_SHARE)), MIN_STEEPNESS)
    return float(np.median(steep[border])) / usual


def _touched(shadow: BoolMask, contact: ContactArea) -> float:
    """The share of the foot that `shadow` touches."""
    return np.count_nonzero(dilated(shadow, 1) & contact.foot) / np.count_nonzero(contact.foot)


def _weight(shadow: BoolMask, dark: BoolMask, texture: FloorTexture, contact: ContactArea) -> float:
    """The depth of `shadow` over all its pixels, to that of the heaviest other part of `dark`."""
    floor = texture.floor & (texture.lit_share > ENOUGH_LIT) & (contact.distance < NEAR)
    others = (dark & floor & ~dilated(shadow, 2)).astype(np.uint8)
    count, labels = cv2.connectedComponents(others, connectivity=8)
    weights = np.bincount(labels.ravel(), (texture.depth * others).ravel(), count)
    mine = float(texture.depth[shadow].sum())
    return mine / max(float(weights[1:].max(initial=0)), texture.strength)
