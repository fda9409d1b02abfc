"""A painted drop shadow for product pictures: a cast shadow and a contact shadow.

The subject is treated as a flat figure that stands on its lowest row. A light projects each of its
points onto a floor seen at an angle, the farther and the softer the higher the point is.
"""

import math

import cv2
import numpy as np

from rmbg_service.imaging.cutout import BOX_THRESHOLD, Shadow, box_of
from rmbg_service.matting.arrays import UNIT, resize
from rmbg_service.shadows.cast import make_shadow
from rmbg_service.types import Alpha, Matte

WORKING_SIDE_PX = 384
LENGTH = 0.6
"""Of the shadow, in heights of the subject, along the floor."""

TILT = 0.45
LEAST_DEPTH = 0.2
"""How much the floor's depth is foreshortened in the picture, and the least depth of a shadow."""

SOFTEST = 0.12
"""Spread of the penumbra at softness 1, in heights of the part that casts it."""

STEPS = 4
CAST, CONTACT = 0.4, 0.55
"""Alpha of the cast shadow where it is full, and of the contact shadow."""

CONTACT_PART = 0.04
"""The lowest part of the subject, in heights, that darkens the floor it touches."""


def drop_shadow(alpha: Alpha, angle: float, softness: float) -> Shadow:
    """Paint a shadow for the subject `alpha` `(H, W)` uint8.

    `angle` in degrees says where it falls: 0 straight behind the subject, 90 to the right, -90 to
    the left, 180 in front. `softness` in [0, 1]: 0 a sharp edge, 1 a wide penumbra.
    """
    scale = min(1.0, WORKING_SIDE_PX / max(alpha.shape))
    size = max(1, round(alpha.shape[0] * scale)), max(1, round(alpha.shape[1] * scale))
    box = box_of(small := resize(alpha, size), BOX_THRESHOLD)
    if box is None:
        return Shadow("drop", reason="no-subject")
    matte = small * UNIT
    cast = CAST * _cast(matte, box.bottom, box.height, np.deg2rad(angle), softness)
    contact = CONTACT * _contact(matte, box.bottom, box.height)
    layer = np.rint(255 * (1 - (1 - cast) * (1 - contact))).astype(np.uint8)
    return make_shadow(
        "drop", resize(layer, (alpha.shape[0], alpha.shape[1]), cv2.INTER_LINEAR), 1.0
    )


def _cast(matte: Matte, base: int, height: int, turn: float, softness: float) -> Matte:
    """The figure laid on the floor, `(h, w)` in [0, 1], its upper parts softer than its lower."""
    along, depth = LENGTH * float(np.sin(turn)), float(np.cos(turn))
    # With the light exactly from the side the shadow would have no width.
    up = LENGTH * TILT * math.copysign(max(abs(depth), LEAST_DEPTH), depth)
    size = matte.shape[1], matte.shape[0]
    # A point z above the base goes to (x + along z, base - up z).
    to_floor = np.array([[1, -along, along * base], [0, up, base - up * base]])
    total = np.zeros_like(matte)
    for step in range(STEPS):
        low, high = step * height / STEPS, (step + 1) * height / STEPS
        part = np.zeros_like(matte)
        rows = slice(max(0, round(base - high)), round(base - low))
        part[rows] = matte[rows]
        laid = cv2.warpAffine(part, to_floor, size)
        sigma = max(0.7, SOFTEST * softness * (low + high) / 2)
        total += cv2.GaussianBlur(laid, (0, 0), sigma)
    return np.clip(total, 0, 1).astype(np.float32)


def _contact(matte: Matte, base: int, height: int) -> Matte:
    """The contact shadow under the lowest part, `(h, w)` in [0, 1]."""
    feet = np.zeros_like(matte)
    top = max(0, round(base - max(1, CONTACT_PART * height)))
    feet[top:base] = matte[top:base]
    sigma = max(0.7, 0.015 * height)
    contact = cv2.GaussianBlur(feet, (0, 0), sigmaX=2 * sigma, sigmaY=sigma)
    return np.asarray(np.clip(1.3 * contact, 0, 1), np.float32)
