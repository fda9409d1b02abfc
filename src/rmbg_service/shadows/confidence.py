"""How much speaks for a dark part of the floor being the subject's shadow.

Four ratios, each of which a shadow makes large: its depth to the floor's texture; the steepness of
its border to the steepness that the lit floor has anyway, since clouds of a floor are dark but not
steep; how much of the foot it touches, since what only lies beside touches it in a point; its
weight to that of the heaviest dark part elsewhere. Their exponents are those of a logistic
regression over made-up scenes, rounded.
"""

import cv2
import numpy as np

from rmbg_service.shadows.contact import Stand, grown
from rmbg_service.shadows.texture import ENOUGH_LIT, Relief
from rmbg_service.types import BoolMask

DEPTH, EDGE, TOUCH, WEIGHT = 0.5, 1.5, 1.5, 0.25
"""Exponents of the four ratios."""

MOST_DEPTH, LEAST_EDGE, MOST_EDGE, LEAST_TOUCH = 8.0, 0.3, 5.0, 0.02
LEAST_WEIGHT, MOST_WEIGHT = 0.2, 20.0

EDGE_PX = 2.5
"""Spread of the picture in which steepness is measured."""

LEAST_STEEPNESS = 0.004
"""Logarithms of light per px."""

STEEP_SHARE = 75
"""Percentile of the lit floor's steepness."""

RIM_PX = 3
"""How far a border is kept from the subject's, and the lit floor from what is dark."""

LEAST_BORDER_PX, LEAST_LIT_PX = 5, 50
UNKNOWN_EDGE = 1.0
"""Of a seam so narrow that it has no border apart from the subject's."""

NEAR = 1.5
"""Sizes of the subject in which other dark parts count."""


def confidence(kept: BoolMask, dark: BoolMask, relief: Relief, stand: Stand) -> float:
    """The confidence in [0, 1] that `kept` `(h, w)`, a part of `dark` `(h, w)`, is a shadow."""
    depth = relief.depth[kept]
    ratios = (
        (DEPTH, np.clip(np.median(depth) / relief.texture, 1, MOST_DEPTH)),
        (EDGE, np.clip(_steepness(kept, dark, relief, stand), LEAST_EDGE, MOST_EDGE)),
        (TOUCH, max(_touched(kept, stand), LEAST_TOUCH)),
        (WEIGHT, np.clip(_weight(kept, dark, relief, stand), LEAST_WEIGHT, MOST_WEIGHT)),
    )
    odds = np.prod([ratio**exponent for exponent, ratio in ratios])
    return float(odds / (1 + odds))


def _steepness(kept: BoolMask, dark: BoolMask, relief: Relief, stand: Stand) -> float:
    """The border's median steepness in units of the lit floor's."""
    free = (~stand.covered).astype(np.float32)
    seen = cv2.GaussianBlur(free, (0, 0), EDGE_PX) + 1e-3
    soft = cv2.GaussianBlur(relief.depth * free, (0, 0), EDGE_PX) / seen
    across = cv2.Sobel(soft, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(soft, cv2.CV_32F, 0, 1, scale=1 / 8)
    steep = np.hypot(across, down)
    apart = relief.ground & ~grown(stand.covered, RIM_PX)
    inner = cv2.erode(kept.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    border = grown(kept, 1) & ~inner & apart
    level = max(2 * relief.texture, 0.1)
    lit = apart & (np.abs(relief.depth) < level) & ~grown(dark, RIM_PX) & (stand.away < NEAR)
    if np.count_nonzero(border) < LEAST_BORDER_PX or np.count_nonzero(lit) < LEAST_LIT_PX:
        return UNKNOWN_EDGE
    usual = max(float(np.percentile(steep[lit], STEEP_SHARE)), LEAST_STEEPNESS)
    return float(np.median(steep[border])) / usual


def _touched(kept: BoolMask, stand: Stand) -> float:
    """The share of the foot that `kept` touches."""
    return np.count_nonzero(grown(kept, 1) & stand.foot) / np.count_nonzero(stand.foot)


def _weight(kept: BoolMask, dark: BoolMask, relief: Relief, stand: Stand) -> float:
    """The depth of `kept` over all its pixels, to that of the heaviest other part of `dark`."""
    floor = relief.ground & (relief.seen > ENOUGH_LIT) & (stand.away < NEAR)
    others = (dark & floor & ~grown(kept, 2)).astype(np.uint8)
    count, labels = cv2.connectedComponents(others, connectivity=8)
    weights = np.bincount(labels.ravel(), (relief.depth * others).ravel(), count)
    mine = float(relief.depth[kept].sum())
    return mine / max(float(weights[1:].max(initial=0)), relief.texture)
