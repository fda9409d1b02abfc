"""The floor as it would look without the shadow, from the parts of it that are lit.

In the logarithm of linear light a shadow is a constant that is subtracted, and uneven lighting is
smooth. So the lit floor is a quadratic surface for each channel, fitted by iteratively reweighted
least squares (Holland and Welsch 1977) with Gaussian weights that shrink and that let go of dark
pixels first. The fit starts from several brightness levels near the subject's foot. The level wins
whose surroundings are lit floor or a darker floor of the same colour, but not a brighter one: then
the fit has mistaken the shadow for the floor.
"""

from typing import NamedTuple

import numpy as np

from rmbg_service.matting.arrays import channel_max, channel_mean
from rmbg_service.types import BoolMask, Matte, Planes

STARTS = (25, 45, 65, 85)
"""Percentiles of the brightness around the foot from which a fit starts."""

LIKE = 10
"""The median colour of the tenth of the pixels that is nearest to a level begins the fit."""

WIDTHS = (0.5, 0.35, 0.25, 0.2, 0.15, 0.12, 0.12, 0.12)
"""Widths of the weights of each round, in natural logarithms of light."""

QUADRATIC_FROM_ROUND = 3
DARK_SIDE = 0.6
"""Width for pixels darker than the fit, as a share of the width for brighter ones."""

RIDGE = 0.003
INLIER = 2.5
MIN_SPREAD, MAX_SPREAD = 0.02, 0.25
SAMPLES_A_SIDE = 96
MIN_SAMPLES = 30


class Floor(NamedTuple):
    """The lit floor.

    `log_light` `(h, w, 3)` is the logarithm of its light everywhere; `lit` `(h, w)` is where the
    image shows it; `spread` is the deviation of the lit pixels, in logarithms; `share` is the
    part of the area around the foot that is floor, lit or not.
    """

    log_light: Planes
    lit: BoolMask
    spread: float
    share: float


def fit_floor(log_light: Planes, weight: Matte) -> Floor | None:
    """Fit the lit floor to `log_light` `(h, w, 3)`.

    `weight` `(h, w)` in [0, 1] says how much each pixel counts: high around the subject's foot, 0
    on the subject itself. None if too little floor is visible.
    """
    basis = _basis(weight)
    stride = max(1, round(max(weight.shape) / SAMPLES_A_SIDE))
    sampled = slice(None, None, stride), slice(None, None, stride)
    colours, weights = log_light[sampled].reshape(-1, 3), weight[sampled].ravel()
    seen = weights > 0.01
    if np.count_nonzero(seen) < MIN_SAMPLES:
        return None
    rows, colours, weights = basis[sampled].reshape(-1, 6)[seen], colours[seen], weights[seen]
    brightness = colours.mean(axis=1)
    near = weights > 0.5 * weights.max()
    surfaces = []
    for level in np.percentile(brightness[near], STARTS):
        like = np.argsort(np.abs(brightness[near] - level))[: 1 + np.count_nonzero(near) // LIKE]
        surfaces.append(_fit(rows, colours, weights, np.median(colours[near][like], axis=0)))
    best = max(surfaces, key=lambda surface: _score(colours - rows @ surface, weights))
    # Row by row: one large product would wake the threads of the BLAS, which spin for longer.
    fitted = np.asarray(basis @ best, np.float32)
    rest = log_light - fitted
    level = channel_mean(rest)
    spread = _spread(level[weight > 0.01])
    lit = (channel_max(np.abs(rest)) < INLIER * max(spread, 0.03)) & (weight > 0)
    dark = (level < 0) & (_tint(rest) < 0.25)
    total = float(weight.sum())
    share = float(weight[lit | dark].sum()) / total if total else 0.0
    return Floor(fitted, lit, spread, share)


def _basis(weight: Matte) -> Planes:
    """1, x, y, x^2, xy, y^2 of every pixel, 0 at the centroid of `weight`: `(h, w, 6)`."""
    height, width = weight.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    total = max(float(weight.sum()), 1e-6)
    reach = np.float32(max(height, width) / 2)
    x = (x - np.float32((x * weight).sum() / total)) / reach
    y = (y - np.float32((y * weight).sum() / total)) / reach
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def _fit(rows: Matte, colours: Matte, weights: Matte, start: Matte) -> Matte:
    """Coefficients `(6, 3)`."""
    surface = np.zeros((6, 3), np.float32)
    surface[0] = start
    for number, width in enumerate(WIDTHS):
        rest = colours - rows @ surface
        dark = rest.mean(axis=1) < 0
        scale = np.where(dark, width * DARK_SIDE, width)
        trust = weights * np.exp(-0.5 * np.square(rest).mean(axis=1) / scale**2)
        terms = 3 if number < QUADRATIC_FROM_ROUND else 6
        used = rows[:, :terms]
        weighted = used * trust[:, None]
        ridge = RIDGE * float(trust.sum()) * np.diag([0, 0.2, 0.2, 1, 1, 1][:terms])
        normal = weighted.T @ used + ridge + 1e-6 * np.eye(terms)
        surface[:terms] = np.linalg.solve(normal, weighted.T @ colours)
        surface[terms:] = 0
    return surface


def _score(rest: Matte, weights: Matte) -> float:
    """How well a fit explains its surroundings as floor, lit or shaded."""
    level, tint = rest.mean(axis=1), _tint(rest)
    lit = (np.abs(level) < 0.15) & (tint < 0.1)
    same = tint < 0.1 + 0.25 * np.abs(level)
    shaded, brighter = same & (level < -0.15), same & (level > 0.15)
    gain = lit * 1.0 + shaded * 0.5 - brighter * 1.0
    return float((gain * weights).sum())


def _tint(rest: Planes | Matte) -> Matte:
    """The difference between the largest and the smallest channel."""
    r, g, b = rest[..., 0], rest[..., 1], rest[..., 2]
    return np.maximum(np.maximum(r, g), b) - np.minimum(np.minimum(r, g), b)


def _spread(level: Matte) -> float:
    """Deviation of the lit ones among pixels `(n,)`, from the median of the brighter half."""
    level = level[np.abs(level) < MAX_SPREAD * 2]
    if level.size < 50:
        return MAX_SPREAD
    around = np.abs(level[level > -0.02])
    return float(np.clip(1.48 * np.median(around), MIN_SPREAD, MAX_SPREAD))
