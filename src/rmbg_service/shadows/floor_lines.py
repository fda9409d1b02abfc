"""Floor lines: the pattern of floorboards or tiles, tones and joints along straight lines.

Parallel lines on a floor meet in one vanishing point, so in the image they are a pencil: with
`q` along and `p` across the pencil's middle, each line has one value of `p / (1 + convergence q)`.
Angle and convergence are those by which the lines explain most of the floor's detail: an analysis
of variance over the lines, from coarse to fine. A line's tone is that of its lit part
(`_lit_levels`): a shadow covers only some of it.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from rmbg_service.matting.arrays import channel_mean, split
from rmbg_service.types import BoolMask, Matte, Planes

FAMILIES = 2
"""Floorboards are one family of lines, tiles two."""

MIN_EXPLAINED = 0.25
"""Share of the detail's variance that the lines must explain."""

COARSE_SAMPLES, SAMPLES, MIN_SAMPLES = 1200, 3000, 800
MIN_WEIGHT = 0.15
DETAIL_PX = 8.0
"""Spread of what is subtracted from the floor before lines are searched for."""

MAX_DETAIL = 0.2
"""Detail is clipped to this, in logarithms of light, so that no shadow's edge outweighs it."""

ANGLES = np.deg2rad(np.arange(0, 180, 3))
CONVERGENCES = (-0.016, -0.012, -0.009, -0.006, -0.003, 0, 0.003, 0.006, 0.009, 0.012, 0.016)
"""Per px at the working size."""

FINER = ((2.0, 0.0015), (1.0, 0.00075), (0.5, 0.0004), (0.25, 0.0002))
"""Steps of angle, in degrees, and of convergence of each round of the finer search."""

CANDIDATES = 5
"""How many of the coarse search's best are searched more finely."""

COARSE_PX, FINE_PX, TONE_PX = 4.0, 2.0, 1.5
"""Widths of a line in the searches and for its tone."""

NEAREST = 0.15
"""Of 1 + convergence q: nearer to the vanishing point the lines cannot be told apart."""

LINES = 1024
PARTS, MIN_PART_PX = 3, 3.0
"""Parts of a line, one of which may be in the shadow, and the least visible length of a part."""

LEVELS, LEVEL, DARKEST = 80, 0.02, -0.8
LIT_SHARE = 0.42
"""The tone starts at this quantile of a part's darkness ..."""

LIKE = 0.12
"""... and is the mean of the line's pixels this close to it."""

PRIOR_PX = 2.0
"""Weight, in lit pixels, of the assumption that a line has no tone."""


class _Lines(NamedTuple):
    explained: float
    angle: float
    convergence: float


def floor_pattern(attenuation: Planes, weight: Matte) -> Planes | None:
    """The pattern in `attenuation` `(h, w, 3)`, how much darker the image is than a plain floor.

    All are logarithms of light; `weight` `(h, w)` in [0, 1] is how much a pixel tells about the
    floor. None if no lines explain enough.
    """
    total = np.zeros_like(attenuation)
    for _ in range(FAMILIES):
        lines = find_lines(attenuation - total, weight)
        if lines is None or lines.explained < MIN_EXPLAINED:
            break
        total += _tones(attenuation - total, weight, lines)
    return total if total.any() else None


def find_lines(attenuation: Planes, weight: Matte) -> _Lines | None:
    """The pencil of lines that explains most of `attenuation`; None if too little is visible."""
    seen = (weight > 0).astype(np.float32)
    depth = np.asarray(channel_mean(attenuation) * seen, np.float32)
    share = cv2.GaussianBlur(seen, (0, 0), DETAIL_PX) + 1e-3
    around = cv2.GaussianBlur(depth, (0, 0), DETAIL_PX) / share
    at = np.nonzero(weight.ravel() > MIN_WEIGHT)[0]
    if at.size < MIN_SAMPLES:
        return None
    at = np.random.default_rng(0).permutation(at)[:SAMPLES]
    detail = np.clip((depth - around).ravel()[at], -MAX_DETAIL, MAX_DETAIL)
    x, y = (plane.ravel()[at] for plane in _coordinates(weight))
    sampled = weight.ravel()[at]

    def evaluate(angle: float, convergence: float, width: float, n: int = SAMPLES) -> _Lines:
        line, known = _across(x[:n], y[:n], angle, convergence)
        explained = _explained(line / np.float32(width), detail[:n], sampled[:n] * known)
        return _Lines(explained, angle, convergence)

    coarse = [evaluate(a, c, COARSE_PX, COARSE_SAMPLES) for a in ANGLES for c in CONVERGENCES]
    found = []
    for best in sorted(coarse, reverse=True)[:CANDIDATES]:
        for degrees, step in FINER:
            turn = np.deg2rad(degrees)
            best = max(
                evaluate(best.angle + i * turn, best.convergence + j * step, FINE_PX)
                for i in (-1, 0, 1)
                for j in (-1, 0, 1)
            )
        found.append(best)
    return max(found)


def _coordinates(weight: Matte) -> tuple[Matte, Matte]:
    """x and y in px from the centroid of `weight`."""
    y, x = np.mgrid[0 : weight.shape[0], 0 : weight.shape[1]].astype(np.float32)
    total = max(float(weight.sum()), 1e-6)
    return x - np.float32((x * weight).sum() / total), y - np.float32((y * weight).sum() / total)


def _across(x: Matte, y: Matte, angle: float, convergence: float) -> tuple[Matte, BoolMask]:
    """The line each point is on, in px at the centroid, and where it can be determined."""
    sine, cosine = np.float32(np.sin(angle)), np.float32(np.cos(angle))
    nearness = 1 + np.float32(convergence) * (x * cosine + y * sine)
    line = (y * cosine - x * sine) / np.maximum(nearness, NEAREST)
    return np.asarray(line, np.float32), nearness > NEAREST


def _numbered(line: Matte) -> NDArray[np.int64]:
    return np.asarray(np.clip(np.floor(line) + LINES // 2, 0, LINES - 1), np.int64)


def _explained(line: Matte, detail: Matte, weight: Matte) -> float:
    """The share of the detail's variance between the lines, less what chance would give."""
    number = _numbered(line)
    count = np.bincount(number, weight, LINES)
    total = np.bincount(number, weight * detail, LINES)
    between = float((total**2 / np.maximum(count, 1e-6)).sum())
    variance = float((weight * detail * detail).sum()) + 1e-9
    chance = np.count_nonzero(count) / max(float(weight.sum()), 1e-6)
    return between / variance - chance


def _tones(attenuation: Planes, weight: Matte, lines: _Lines) -> Planes:
    """Each line's tone, spread over the image, `(h, w, 3)`."""
    x, y = _coordinates(weight)
    line, known = _across(x, y, lines.angle, lines.convergence)
    along = x * np.float32(np.cos(lines.angle)) + y * np.float32(np.sin(lines.angle))
    number = _numbered(line / TONE_PX)
    weight, depth = weight * known, channel_mean(attenuation)
    start = _lit_levels(number, along, depth, weight)
    lit = weight * (np.abs(depth - start[number]) < LIKE)
    seen = np.bincount(number.ravel(), lit.ravel(), LINES) + PRIOR_PX
    sums = [
        np.bincount(number.ravel(), (lit * plane).ravel(), LINES) / seen
        for plane in split(attenuation)
    ]
    tones = np.stack(sums, axis=-1).astype(np.float32)
    return np.asarray(tones[number] * known[..., None], np.float32)


def _lit_levels(
    number: NDArray[np.int64], along: Matte, depth: Matte, weight: Matte
) -> NDArray[np.float64]:
    """The darkness of each line where it is lit: that of the second brightest of its parts."""
    ends = np.quantile(along[weight > MIN_WEIGHT], np.arange(1, PARTS) / PARTS)
    part = np.searchsorted(ends, along.ravel())
    level = np.clip((depth - DARKEST) / LEVEL, 0, LEVELS - 1).astype(np.int64)
    cell = (number.ravel() * PARTS + part) * LEVELS + level.ravel()
    counts = np.bincount(cell, weight.ravel(), LINES * PARTS * LEVELS)
    below = np.cumsum(counts.reshape(LINES, PARTS, LEVELS), axis=2)
    total = below[..., -1]
    middle = np.count_nonzero(below < LIT_SHARE * total[..., None], axis=2)
    middle = np.sort(np.where(total > MIN_PART_PX, middle, LEVELS), axis=1)
    second = np.where(middle[:, 1] < LEVELS, middle[:, 1], middle[:, 0])
    return np.asarray((second + 0.5) * LEVEL + DARKEST)
