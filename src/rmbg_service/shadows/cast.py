"""The shadow the subject really casts, as a black layer to put under the cutout.

A shadow takes away a share of the floor's light. The floor as it would be lit is estimated at a
small working size (`matting/floor.py`); what is darker than it, has kept its colour, and hangs
together with the subject's foot is the shadow (`matting/darkening.py`). Its alpha is such that
black over the lit floor, in the encoded values in which pictures are composited, comes closest to
what was seen. The estimate is small, the picture large: what is applied to the picture is the
floor, so the shadow's own edges stay sharp; on a grained floor, whose grain would be taken for
shadow, a smoothed alpha is.

A wrong shadow is worse than none, so poor evidence means no shadow, and a reason.
"""

from typing import Literal, NamedTuple

import cv2
import numpy as np

from rmbg_service.imaging.cutout import SHADOW_BOX_THRESHOLD, Shadow, box_of
from rmbg_service.imaging.light import to_encoded, to_linear
from rmbg_service.matting.arrays import TILE_PX, UNIT, merge, resize, split, touched_tiles, window
from rmbg_service.shadows.attenuation import Darkening, find_darkening
from rmbg_service.shadows.contact import Stand, find_stand, grown
from rmbg_service.shadows.floor import Floor, fit_floor
from rmbg_service.shadows.floor_lines import floor_pattern
from rmbg_service.shadows.texture import LITTLE_TEXTURE, Relief, find_relief
from rmbg_service.types import Alpha, BoolMask, Matte, Planes, RgbImage

WORKING_SIDE_PX = 384
BLACK = np.float32(0.003)
"""Light added before logarithms are taken, so that noise in black does not count."""

LEAST_FLOOR = 0.35
FAR, TOO_FAR = 1.5, 2.5
"""Sizes of the subject between which a shadow fades out."""

WORTH_A_PATTERN = 0.8
"""Share of the texture that may be left for a pattern of the floor to count."""

MOST_BLUR_PX = 2.5
CARRIED_PX = 4.0
"""How far a shadow is carried on under the subject's soft edge."""

FREE_LEVEL = 5
"""Alpha, of 255, up to which a pixel of the full picture shows the floor."""

LEAST_ALPHA = 1 / 510


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


def keep_shadow(rgb: RgbImage, alpha: Alpha) -> Shadow:
    """Find the shadow of the subject `alpha` `(H, W)` in the picture `rgb` `(H, W, 3)`."""
    skip = max(1, max(alpha.shape) // (2 * WORKING_SIDE_PX))
    rows = slice(min(skip // 2, alpha.shape[0] - 1), None, skip)
    scale = min(1.0, WORKING_SIDE_PX / max(alpha.shape))
    size = max(1, round(alpha.shape[0] * scale)), max(1, round(alpha.shape[1] * scale))
    stand = find_stand(resize(alpha[rows], size) * UNIT)
    if stand is None:
        return Shadow("keep", reason="no-subject")
    encoded = resize(rgb[rows], size) * UNIT
    log_light = np.log(to_linear(encoded) + BLACK)
    floor = fit_floor(log_light, stand.zone)
    if floor is None or floor.share < LEAST_FLOOR:
        return Shadow("keep", reason="no-floor")
    floor, relief = _with_pattern(log_light, floor, stand)
    found = find_darkening(relief, stand)
    if isinstance(found, str):
        return Shadow("keep", reason=found)
    lit = np.clip(to_encoded(np.exp(floor.log_light) - BLACK), 0.02, 1)
    estimate = _estimate(encoded, lit, stand, found)
    return measured("keep", _full_size(rgb, alpha, estimate), found.confidence)


def _with_pattern(log_light: Planes, floor: Floor, stand: Stand) -> tuple[Floor, Relief]:
    """The floor with its planks or tiles, where they explain its texture, and what is darker."""
    relief = find_relief(log_light, floor, stand)
    if not LITTLE_TEXTURE < relief.texture < np.inf:
        return floor, relief
    pattern = floor_pattern(floor.log_light - log_light, stand.zone)
    if pattern is None:
        return floor, relief
    plain = fit_floor(log_light + pattern, stand.zone)
    if plain is None or plain.share < LEAST_FLOOR:
        return floor, relief
    laid = plain._replace(log_light=plain.log_light - pattern)
    less = find_relief(log_light, laid, stand)
    return (laid, less) if less.texture < WORTH_A_PATTERN * relief.texture else (floor, relief)


def measured(kind: Literal["keep", "drop"], alpha: Alpha, confidence: float) -> Shadow:
    """The shadow `alpha` with its box and density."""
    box = box_of(alpha, SHADOW_BOX_THRESHOLD)
    if box is None:
        return Shadow(kind, reason="no-shadow")
    inside = alpha[box.top : box.bottom, box.left : box.right]
    dense = cv2.inRange(inside, SHADOW_BOX_THRESHOLD, 255).astype(np.uint8, copy=False)
    return Shadow(kind, alpha, box, cv2.mean(inside, dense)[0] / 255, confidence)


def _estimate(encoded: Planes, lit: Planes, stand: Stand, found: Darkening) -> _Estimate:
    """The alpha of black over `lit` that comes closest to `encoded`, where the shadow is."""
    channels = split(lit)
    norm = sum(c * c for c in channels)
    project = [c / norm for c in channels]
    light = sum(p * c for p, c in zip(project, split(encoded), strict=True))
    near = grown(found.kept, 2)
    share = found.share * np.clip((TOO_FAR - stand.away) / (TOO_FAR - FAR), 0, 1)
    alpha = np.clip(1 - light, 0, 1) * share * (near & ~stand.covered)
    gate = cv2.GaussianBlur(share * near, (0, 0), 1.0)
    smooth = _carried_on(alpha.astype(np.float32), stand.covered, min(found.blur, MOST_BLUR_PX))
    return _Estimate(merge(project), smooth, gate.astype(np.float32), not found.grained)


def _carried_on(values: Matte, covered: BoolMask, sigma: float) -> Matte:
    """`values` smoothed, and carried on a little under what is covered."""
    away, nearest = cv2.distanceTransformWithLabels(
        covered.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    by_label = np.zeros(int(nearest.max()) + 1, np.float32)
    by_label[nearest[~covered]] = values[~covered]
    carried = by_label[nearest] * np.exp(-np.square(away / CARRIED_PX))
    return np.asarray(cv2.GaussianBlur(carried, (0, 0), sigma), np.float32)


def _full_size(rgb: RgbImage, alpha: Alpha, estimate: _Estimate) -> Alpha:
    """The shadow's alpha for the whole picture, tile by tile; 0 under what is opaque."""
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
