"""The floor's texture: how dark the floor gets without a shadow.

A shadow lies to one side of the foot, a floor's texture to all. What is darker than the lit floor
is smoothed as much as the texture needs, and the remaining texture is measured in all
directions around the foot.
"""

from typing import NamedTuple

import cv2
import numpy as np

from rmbg_service.matting.arrays import channel_mean
from rmbg_service.shadows.contact import ContactArea
from rmbg_service.shadows.floor import Floor
from rmbg_service.types import BoolMask, Matte, Planes

MIN_LIT, ENOUGH_LIT = 0.1, 0.2
"""Share of lit floor around a pixel below which it is not floor, and from which on it surely is."""

SMOOTHING_PX = (1.0, 2.5, 5.0)
WORTH_SMOOTHING = 1.25
LITTLE_TEXTURE = 0.06
DIRECTIONS = 12
TOUCHING = (0.08, 1.5)
"""Between these distances from the foot, in sizes of the subject, the texture is measured."""

MIN_GROUND_PX, MIN_SECTOR_PX, MIN_SECTORS = 200, 40, 3


class FloorTexture(NamedTuple):
    """How much darker than the lit floor the floor is, in logarithms of light.

    `attenuation` `(h, w, 3)` and its mean over the channels `depth` `(h, w)` are smoothed by `blur`
    px. `strength` says how dark the floor gets without a shadow. `lit_share` `(h, w)` in [0, 1] is
    the share of lit floor around each pixel; `floor` `(h, w)` is where the floor is.
    """

    attenuation: Planes
    depth: Matte
    strength: float
    blur: float
    lit_share: Matte
    floor: BoolMask


def measure_texture(log_light: Planes, floor: Floor, contact: ContactArea) -> FloorTexture:
    """How much darker than `floor` the image `log_light` `(h, w, 3)` is.

    `strength` is infinite if too little floor is visible.
    """
    attenuation = floor.log_light - log_light
    free = (~contact.covered).astype(np.float32)
    lit_share = _lit_share(floor.lit, free, contact.area**0.5)
    visible = (lit_share > MIN_LIT) & ~contact.covered
    smoothed = [_blurred(attenuation, free, sigma) for sigma in SMOOTHING_PX]
    depths = [channel_mean(soft) for soft in smoothed]
    strengths = [_strength(depth, visible, contact) for depth in depths]
    # Smoothing helps against grain, not against what is as wide as a shadow itself.
    enough = max(LITTLE_TEXTURE, WORTH_SMOOTHING * strengths[-1])
    i = next(i for i, strength in enumerate(strengths) if strength <= enough)
    return FloorTexture(smoothed[i], depths[i], strengths[i], SMOOTHING_PX[i], lit_share, visible)


def _lit_share(lit: BoolMask, free: Matte, side: float) -> Matte:
    """The share of lit floor in a window around each pixel, the subject left out.

    The window is wide along the floor and narrow up the wall.
    """
    size = max(1, free.shape[1] // 4), max(1, free.shape[0] // 4)

    def mean(plane: Matte) -> Matte:
        small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
        wide = cv2.GaussianBlur(small, (0, 0), 0.15 * side + 1, sigmaY=0.04 * side + 1)
        return np.asarray(cv2.resize(wide, plane.shape[::-1], interpolation=cv2.INTER_LINEAR))

    return np.asarray(mean(lit * free) / (mean(free) + 1e-3), np.float32)


def _strength(depth: Matte, floor: BoolMask, contact: ContactArea) -> float:
    """The median over the directions of the darkness that 5% of the pixels exceed."""
    rows, columns = np.nonzero(contact.foot)
    near = (contact.distance > TOUCHING[0]) & (contact.distance < TOUCHING[1])
    y, x = np.nonzero(floor & near)
    if y.size < MIN_GROUND_PX:
        return np.inf
    turn = np.arctan2(2 * (y - rows.mean()), x - columns.mean())
    sector = ((turn / (2 * np.pi) + 0.5) * DIRECTIONS).astype(int) % DIRECTIONS
    values = depth[y, x]
    levels = [
        np.percentile(v, 95)
        for k in range(DIRECTIONS)
        if (v := values[sector == k]).size > MIN_SECTOR_PX
    ]
    return float(max(np.median(levels), 0.01)) if len(levels) >= MIN_SECTORS else np.inf


def _blurred(planes: Planes, weight: Matte, sigma: float) -> Planes:
    total = cv2.GaussianBlur(weight, (0, 0), sigma) + 1e-4
    blurred = cv2.GaussianBlur(planes * weight[..., None], (0, 0), sigma)
    return np.asarray(blurred / total[..., None], np.float32)
