"""A painted drop shadow for product images: a cast shadow and a contact shadow.

The subject is treated as a flat figure that stands on its lowest row. A light projects each of its
points onto a floor seen at an angle, the farther and the softer the higher the point is.
"""

import math

import cv2
import numpy as np

from rmbg_service.imaging.cutout import (
    BOX_THRESHOLD,
    SHADOW_BOX_THRESHOLD,
    PaintedLayer,
    Shadow,
    box_of,
)
from rmbg_service.matting.arrays import UNIT, resize
from rmbg_service.types import Alpha, Box, Matte

WORKING_SIDE_PX = 384
LENGTH = 0.6
"""Of the shadow, in heights of the subject, along the floor."""

TILT = 0.45
MIN_DEPTH = 0.2
"""How much the floor's depth is foreshortened in the image, and the least depth of a shadow."""

SOFTEST = 0.12
"""Spread of the penumbra at softness 1, in heights of the part that casts it."""

STEPS = 4
CAST, CONTACT = 0.4, 0.55
"""Alpha of the cast shadow where it is full, and of the contact shadow."""

CONTACT_PART = 0.04
"""The lowest part of the subject, in heights, that darkens the floor it touches."""

CONTACT_BLUR = 0.015
"""Blur of the contact shadow, in heights; twice that across."""


def drop_shadow(alpha: Alpha, angle: float, softness: float) -> Shadow:
    """Paint a shadow for the subject `alpha` `(H, W)` uint8, also where it leaves the image.

    `angle` in degrees says where it falls: 0 straight behind the subject, 90 to the right, -90 to
    the left, 180 in front. `softness` in [0, 1]: 0 a sharp edge, 1 a wide penumbra. The layer is
    `painted`: `compose.draw_shadow` draws it.
    """
    step, size = _working_size(*alpha.shape)
    box = box_of(small := resize(alpha, size), BOX_THRESHOLD)
    if box is None:
        return Shadow("drop", reason="no-subject")
    turn = np.deg2rad(angle)
    around = _reach(box.height, turn, softness)
    matte = np.pad(small * UNIT, ((around.top, around.bottom), (around.left, around.right)))
    base = around.top + box.bottom
    cast = CAST * _cast(matte, base, box.height, turn, softness)
    contact = CONTACT * _contact(matte, base, box.height)
    layer = np.rint(255 * (1 - (1 - cast) * (1 - contact))).astype(np.uint8)
    dense = cv2.inRange(layer, SHADOW_BOX_THRESHOLD, 255).astype(np.uint8, copy=False)
    painted = PaintedLayer(layer, -around.left * step, -around.top * step, step)
    if painted.box is None:
        return Shadow("drop", reason="no-shadow")
    density = cv2.mean(layer, dense)[0] / 255
    return Shadow("drop", None, painted.box, density, 1.0, painted=painted)


def _slope(turn: float) -> tuple[float, float]:
    """How far a point falls along the floor and up the image, in parts of its height."""
    depth = float(np.cos(turn))
    # With the light exactly from the side the shadow would have no width.
    return (
        LENGTH * float(np.sin(turn)),
        LENGTH * TILT * math.copysign(max(abs(depth), MIN_DEPTH), depth),
    )


def with_shadow(width: int, height: int, angle: float, softness: float) -> tuple[int, int]:
    """`(width, height)` of an image of this size with all of its shadow, in px; an upper bound.

    A row of the working size may be higher than all of a narrow image.
    """
    step, (rows, columns) = _working_size(height, width)
    around = _reach(rows, np.deg2rad(angle), softness)
    across = max(width, columns * step) + (around.left + around.right) * step
    down = max(height, rows * step) + (around.top + around.bottom) * step
    return math.ceil(across) + 1, math.ceil(down) + 1


def _working_size(height: int, width: int) -> tuple[float, tuple[int, int]]:
    """How many px of the image a pixel of the working size is wide, and `(h, w)` of that."""
    step = max(1.0, max(height, width) / WORKING_SIDE_PX)
    return step, (max(1, round(height / step)), max(1, round(width / step)))


def _reach(height: int, turn: float, softness: float) -> Box:
    """How far beyond the box of its subject a shadow can be seen, on each side, in px."""
    along, up = _slope(turn)
    blur = 3 * max(SOFTEST * softness, 2 * CONTACT_BLUR) * height + 3
    reach = [math.ceil(blur + max(0.0, part * height)) for part in (-along, 0.0, along, -up)]
    return Box(*reach)


def _cast(matte: Matte, base: int, height: int, turn: float, softness: float) -> Matte:
    """The figure laid on the floor, `(h, w)` in [0, 1], its upper parts softer than its lower."""
    along, up = _slope(turn)
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
    sigma = max(0.7, CONTACT_BLUR * height)
    contact = cv2.GaussianBlur(feet, (0, 0), sigmaX=2 * sigma, sigmaY=sigma)
    return np.asarray(np.clip(1.3 * contact, 0, 1), np.float32)
