"""The shadow that the subject casts in the image, as a black layer to put under the cutout.

A shadow attenuates the floor's light. The lit floor is estimated at a small working size
(`floor.py`); what is darker than it, has kept its colour and is connected with the subject's foot
is the shadow (`attenuation.py`). Its alpha is the one with which black over the lit floor, in the
encoded values in which images are composited, comes closest to the image. The floor is brought
to full size and compared with the image there, so the shadow's edges stay sharp. On a grained
floor, whose grain would look like shadow, a smoothed alpha is brought to full size instead.

A wrong shadow is worse than none, so a low confidence means no shadow, and a reason.
"""

from typing import NamedTuple

import cv2
import numpy as np

from rmbg_service.imaging.cutout import SHADOW_BOX_THRESHOLD, Shadow, box_of
from rmbg_service.imaging.light import to_encoded, to_linear
from rmbg_service.matting.arrays import UNIT, merge, shrunk, split, touched_tiles, window
from rmbg_service.shadows.attenuation import Attenuation, find_attenuation
from rmbg_service.shadows.contact import ContactArea, dilated, find_contact_area
from rmbg_service.shadows.floor import Floor, fit_floor
from rmbg_service.shadows.floor_lines import floor_pattern
from rmbg_service.shadows.texture import LITTLE_TEXTURE, FloorTexture, measure_texture
from rmbg_service.types import Alpha, BoolMask, Matte, Planes, RgbImage

WORKING_SIDE_PX = 384
BLACK = np.float32(0.003)
"""Light added before logarithms are taken, so that noise in black does not count."""

MIN_FLOOR = 0.35
FAR, TOO_FAR = 1.5, 2.5
"""Sizes of the subject between which a shadow fades out."""

WORTH_A_PATTERN = 0.8
"""Share of the texture that may remain for a pattern of the floor to count."""

MAX_BLUR_PX = 2.5
EXTENSION_PX = 4.0
"""How far a shadow continues under the subject's soft edge."""

FREE_LEVEL = 5
"""Alpha, of 255, up to which a pixel of the full image shows the floor."""

MIN_ALPHA = 1 / 510


class _Estimate(NamedTuple):
    """The shadow at the working size: what is needed to bring it to full size.

    `project` `(h, w, 3)` gives the light that is left as `sum(project * rgb)`; `smooth` `(h, w)` is
    the alpha without the floor's texture, also under the subject's edge; `gate` `(h, w)` is where
    the shadow may be; `sharp` says whether the floor is so plain that the image's detail counts.
    """

    project: Planes
    smooth: Matte
    gate: Matte
    sharp: bool


def keep_shadow(rgb: RgbImage, alpha: Alpha) -> Shadow:
    """Find the shadow of the subject `alpha` `(H, W)` in the image `rgb` `(H, W, 3)`."""
    contact = find_contact_area(shrunk(alpha, WORKING_SIDE_PX) * UNIT)
    if contact is None:
        return Shadow("keep", reason="no-subject")
    encoded = shrunk(rgb, WORKING_SIDE_PX) * UNIT
    log_light = np.log(to_linear(encoded) + BLACK)
    floor = fit_floor(log_light, contact.floor_weight)
    if floor is None or floor.share < MIN_FLOOR:
        return Shadow("keep", reason="no-floor")
    floor, texture = _with_pattern(log_light, floor, contact)
    found = find_attenuation(texture, contact)
    if isinstance(found, str):
        return Shadow("keep", reason=found)
    lit = np.clip(to_encoded(np.exp(floor.log_light) - BLACK), 0.02, 1)
    estimate = _estimate(encoded, lit, contact, found)
    return _kept(_full_size(rgb, alpha, estimate), found.confidence)


def _with_pattern(
    log_light: Planes, floor: Floor, contact: ContactArea
) -> tuple[Floor, FloorTexture]:
    """The floor, with its floor lines if they explain its texture, and the remaining texture."""
    texture = measure_texture(log_light, floor, contact)
    if not LITTLE_TEXTURE < texture.strength < np.inf:
        return floor, texture
    pattern = floor_pattern(floor.log_light - log_light, contact.floor_weight)
    if pattern is None:
        return floor, texture
    plain = fit_floor(log_light + pattern, contact.floor_weight)
    if plain is None or plain.share < MIN_FLOOR:
        return floor, texture
    patterned = plain._replace(log_light=plain.log_light - pattern)
    remaining = measure_texture(log_light, patterned, contact)
    if remaining.strength < WORTH_A_PATTERN * texture.strength:
        return patterned, remaining
    return floor, texture


def _kept(alpha: Alpha, confidence: float) -> Shadow:
    """The shadow with the layer `alpha` `(H, W)`, its box and its density."""
    box = box_of(alpha, SHADOW_BOX_THRESHOLD)
    if box is None:
        return Shadow("keep", reason="no-shadow")
    inside = alpha[box.top : box.bottom, box.left : box.right]
    dense = cv2.inRange(inside, SHADOW_BOX_THRESHOLD, 255).astype(np.uint8, copy=False)
    return Shadow("keep", alpha, box, cv2.mean(inside, dense)[0] / 255, confidence)


def _estimate(encoded: Planes, lit: Planes, contact: ContactArea, found: Attenuation) -> _Estimate:
    """The alpha of black over `lit` that comes closest to `encoded`, where the shadow is."""
    channels = split(lit)
    norm = sum(c * c for c in channels)
    project = [c / norm for c in channels]
    light = sum(p * c for p, c in zip(project, split(encoded), strict=True))
    near = dilated(found.shadow, 2)
    share = found.share * np.clip((TOO_FAR - contact.distance) / (TOO_FAR - FAR), 0, 1)
    alpha = np.clip(1 - light, 0, 1) * share * (near & ~contact.covered)
    gate = cv2.GaussianBlur(share * near, (0, 0), 1.0)
    smooth = _extended(alpha.astype(np.float32), contact.covered, min(found.blur, MAX_BLUR_PX))
    return _Estimate(merge(project), smooth, gate.astype(np.float32), not found.grained)


def _extended(values: Matte, covered: BoolMask, sigma: float) -> Matte:
    """`values` extended a little under what is covered, and smoothed."""
    distance, nearest = cv2.distanceTransformWithLabels(
        covered.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    by_label = np.zeros(int(nearest.max()) + 1, np.float32)
    by_label[nearest[~covered]] = values[~covered]
    extended = by_label[nearest] * np.exp(-np.square(distance / EXTENSION_PX))
    return np.asarray(cv2.GaussianBlur(extended, (0, 0), sigma), np.float32)


def _full_size(rgb: RgbImage, alpha: Alpha, estimate: _Estimate) -> Alpha:
    """The shadow's alpha for the whole image, tile by tile; 0 under what is opaque."""
    size = rgb.shape[0], rgb.shape[1]
    layer = np.zeros(size, np.uint8)
    reached = (np.maximum(estimate.smooth, estimate.gate) > MIN_ALPHA).astype(np.float32)
    planes = merge([*split(estimate.project), estimate.smooth, estimate.gate])
    for tile in touched_tiles(reached, size):
        subject = alpha[tile]
        *project, shadow, gate = split(window(planes, size, tile))
        if estimate.sharp:
            light = sum(p * c for p, c in zip(project, split(rgb[tile] * UNIT), strict=True))
            shadow = np.where(subject <= FREE_LEVEL, gate * np.clip(1 - light, 0, 1), shadow)
        layer[tile] = np.where(subject < 255, np.rint(255 * shadow), 0)
    return layer
