"""The light on the floor: how much of it the subject takes away.

The subject is taken for a flat figure that stands on its base line. The sun's rays carry each of
its points along the floor in proportion to its height, and up the wall once they reach it; the
penumbra widens with the height of what casts it.
"""

from typing import NamedTuple

import cv2
import numpy as np

from rmbg_service.evaluation.scenes.noise import Colours, Plane

_LEVELS = 6
_CONTACT_SHARE = 0.05
"""Share of the subject's height that darkens the floor where it stands."""


class Sun(NamedTuple):
    """A light: px along x and up the image for each px of height, softness, strength.

    `away` > 0 throws the shadow behind the subject, < 0 in front of it. `softness` is the
    penumbra's spread in px per px of height, `strength` the share of the light that is taken, one
    value per channel; `contact` the same where the subject touches the floor.
    """

    along: float
    away: float
    softness: float
    strength: tuple[float, float, float]
    contact: float


def attenuation(alpha: Plane, base: float, horizon: float, sun: Sun) -> Colours:
    """What is left of the light, `(H, W, 3)` in [0, 1] linear, on floor and wall."""
    cast = _cast(alpha, base, horizon, sun)
    strength = np.asarray(sun.strength, np.float32)
    left = 1 - cast[..., None] * strength
    return np.asarray(left * (1 - sun.contact * _contact(alpha, base, horizon))[..., None])


def _cast(alpha: Plane, base: float, horizon: float, sun: Sun) -> Plane:
    """How much of the sun each pixel's point does not see, `(H, W)` in [0, 1]."""
    size = (alpha.shape[0], alpha.shape[1])
    if not any(sun.strength):
        return np.zeros(size, np.float32)
    y, x = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    row = np.maximum(y, horizon) if sun.away > 0 else y
    height = (base - row) / np.float32(sun.away)
    from_x, from_y = x - height * np.float32(sun.along), base - height - (row - y)
    spread = np.maximum(height + (row - y), 0) * np.float32(sun.softness)
    level = np.clip(spread / max(float(spread.max()), 1e-6) * (_LEVELS - 1), 0, _LEVELS - 1)
    total = np.zeros(size, np.float32)
    for index in range(_LEVELS):
        sigma = max(0.6, index / (_LEVELS - 1) * float(spread.max()))
        soft = cv2.GaussianBlur(alpha, (0, 0), sigma)
        moved = cv2.remap(soft, from_x, from_y, cv2.INTER_LINEAR)
        total += np.clip(1 - np.abs(level - index), 0, 1) * moved
    return np.asarray(np.where(height > 0, total, 0), np.float32)


def _contact(alpha: Plane, base: float, horizon: float) -> Plane:
    """The dark seam under what touches the floor, `(H, W)` in [0, 1]."""
    rows, _ = np.nonzero(alpha > 0.5)
    height = float(base - rows.min()) if rows.size else 0.0
    feet = np.zeros_like(alpha)
    top = max(0, round(base - _CONTACT_SHARE * height))
    feet[top:] = alpha[top:]
    spread = max(1.0, 0.02 * height)
    soft = cv2.GaussianBlur(feet, (0, 0), sigmaX=1.5 * spread, sigmaY=spread)
    soft[: max(0, round(horizon))] = 0
    return np.asarray(np.clip(soft / max(float(soft.max()), 1e-3), 0, 1), np.float32)
