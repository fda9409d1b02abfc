"""How dark the floor gets without a shadow.

A shadow lies to one side of the foot, a floor's texture to all. What is darker than the lit floor
is smoothed as much as the texture needs, and what is left of the texture is measured in all
directions around the foot.
"""

from typing import NamedTuple

import cv2
import numpy as np

from rmbg_service.matting.arrays import split
from rmbg_service.shadows.contact import Stand
from rmbg_service.shadows.floor import Floor
from rmbg_service.types import BoolMask, Matte, Planes

LEAST_LIT, ENOUGH_LIT = 0.1, 0.2
"""Share of lit floor around a pixel below which it is no floor, from which it surely is."""

SMOOTHING_PX = (1.0, 2.5, 5.0)
WORTH_SMOOTHING = 1.25
LITTLE_TEXTURE = 0.06
DIRECTIONS = 12
TOUCHING = (0.08, 1.5)
"""Between these distances from the foot, in sizes of the subject, the texture is measured."""

LEAST_GROUND_PX, LEAST_SECTOR_PX, LEAST_SECTORS = 200, 40, 3


class Relief(NamedTuple):
    """The floor's darkness, in logarithms of light, positive where it is darker than the lit floor.

    `rest` `(h, w, 3)` and its mean over the channels `depth` `(h, w)`, both smoothed by `blur` px;
    `texture` how dark the floor gets without a shadow; `seen` `(h, w)` in [0, 1] the share of lit
    floor around each pixel; `ground` `(h, w)` where the floor is.
    """

    rest: Planes
    depth: Matte
    texture: float
    blur: float
    seen: Matte
    ground: BoolMask


def find_relief(log_light: Planes, floor: Floor, stand: Stand) -> Relief:
    """What is darker than `floor` in `log_light` `(h, w, 3)`.

    `texture` is infinite where too little floor is seen.
    """
    rest = floor.log_light - log_light
    free = (~stand.covered).astype(np.float32)
    seen = _lit_around(floor.lit, free, stand.area**0.5)
    ground = (seen > LEAST_LIT) & ~stand.covered
    smoothed = [_blurred(rest, free, sigma) for sigma in SMOOTHING_PX]
    depths = [_depth(soft) for soft in smoothed]
    textures = [_texture(depth, ground, stand) for depth in depths]
    # Smoothing helps against grain, not against what is as wide as a shadow itself.
    enough = max(LITTLE_TEXTURE, WORTH_SMOOTHING * textures[-1])
    i = next(i for i, texture in enumerate(textures) if texture <= enough)
    return Relief(smoothed[i], depths[i], textures[i], SMOOTHING_PX[i], seen, ground)


def _lit_around(lit: BoolMask, free: Matte, side: float) -> Matte:
    """The share of lit floor in a window around each pixel, of what the subject leaves free.

    The window is wide along the floor and narrow up the wall.
    """
    size = max(1, free.shape[1] // 4), max(1, free.shape[0] // 4)

    def mean(plane: Matte) -> Matte:
        small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
        wide = cv2.GaussianBlur(small, (0, 0), 0.15 * side + 1, sigmaY=0.04 * side + 1)
        return np.asarray(cv2.resize(wide, plane.shape[::-1], interpolation=cv2.INTER_LINEAR))

    return np.asarray(mean(lit * free) / (mean(free) + 1e-3), np.float32)


def _texture(depth: Matte, ground: BoolMask, stand: Stand) -> float:
    """The median over the directions of the darkness that 5 % of the pixels exceed."""
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


def _depth(rest: Planes) -> Matte:
    """The mean darkening of the channels."""
    r, g, b = split(rest)
    return np.asarray((r + g + b) / 3, np.float32)


def _blurred(planes: Planes, weight: Matte, sigma: float) -> Planes:
    total = cv2.GaussianBlur(weight, (0, 0), sigma) + 1e-4
    blurred = cv2.GaussianBlur(planes * weight[..., None], (0, 0), sigma)
    return np.asarray(blurred / total[..., None], np.float32)
