"""The pattern of a floor made of planks or tiles: tones and seams along straight lines.

Parallel lines on a floor meet in one vanishing point, so in the picture they are a pencil: with
`q` along and `p` across the pencil's middle, each line has one value of `p / (1 + convergence q)`.
Angle and convergence are those by which the lines explain most of the floor's detail: an analysis
of variance over the lines, from coarse to fine. A line's tone is that of its lit part
(`_lit_levels`): a shadow covers only some of it.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from rmbg_service.matting.arrays import split
from rmbg_service.types import BoolMask, Matte, Planes

FAMILIES = 2
"""Planks are one family of lines, tiles two."""

LEAST_EXPLAINED = 0.25
"""Share of the detail's variance that the lines must explain."""

COARSE_SAMPLES, SAMPLES, LEAST_SAMPLES = 1200, 3000, 800
LEAST_ZONE = 0.15
DETAIL_PX = 8.0
"""Spread of what is taken from the floor before lines are looked for."""

MOST_DETAIL = 0.2
"""Detail is clipped to this, in logarithms of light, so that no shadow's edge outweighs it."""

ANGLES = np.deg2rad(np.arange(0, 180, 3))
CONVERGENCES = (-0.016, -0.012, -0.009, -0.006, -0.003, 0, 0.003, 0.006, 0.009, 0.012, 0.016)
"""Per px at the working size."""

FINER = ((2.0, 0.0015), (1.0, 0.00075), (0.5, 0.0004), (0.25, 0.0002))
"""Steps of angle, in degrees, and of convergence of each round of the finer search."""

BEGINNINGS = 5
"""How many of the coarse search's best are searched more finely."""

COARSE_PX, FINE_PX, TONE_PX = 4.0, 2.0, 1.5
"""Widths of a line in the searches and for its tone."""

NEAREST = 0.15
"""Of 1 + convergence q: nearer to the vanishing point no line is told from the next."""

LINES = 1024
PARTS, LEAST_PART_PX = 3, 3.0
"""Parts of a line of which one may be in the shadow, and the least that must be seen of a part."""

LEVELS, LEVEL, DARKEST = 80, 0.02, -0.8
LIT_SHARE = 0.42
"""The tone begins at this quantile of a part's darkness ..."""

LIKE = 0.12
"""... and is the mean of the line's pixels that are so near to it."""

DOUBT_PX = 2.0
"""Of lit pixels that speak for no tone at all."""


class _Lines(NamedTuple):
    explained: float
    angle: float
    convergence: float


def floor_pattern(rest: Planes, zone: Matte) -> Planes | None:
    """The pattern in `rest` `(h, w, 3)`, how much darker the picture is than a plain floor.

    All are logarithms of light; `zone` `(h, w)` in [0, 1] is how much a pixel tells of the floor.
    None where no lines explain enough.
    """
    total = np.zeros_like(rest)
    for _ in range(FAMILIES):
        lines = find_lines(rest - total, zone)
        if lines is None or lines.explained < LEAST_EXPLAINED:
            break
        total += _tones(rest - total, zone, lines)
    return total if total.any() else None


def find_lines(rest: Planes, zone: Matte) -> _Lines | None:
    """The pencil of lines that explains most of `rest`; None where too little can be seen."""
    seen = (zone > 0).astype(np.float32)
    depth = np.asarray(rest.mean(axis=2) * seen, np.float32)
    share = cv2.GaussianBlur(seen, (0, 0), DETAIL_PX) + 1e-3
    around = cv2.GaussianBlur(depth, (0, 0), DETAIL_PX) / share
    at = np.nonzero(zone.ravel() > LEAST_ZONE)[0]
    if at.size < LEAST_SAMPLES:
        return None
    at = np.random.default_rng(0).permutation(at)[:SAMPLES]
    detail = np.clip((depth - around).ravel()[at], -MOST_DETAIL, MOST_DETAIL)
    x, y = (plane.ravel()[at] for plane in _coordinates(zone))
    weight = zone.ravel()[at]

    def tried(angle: float, convergence: float, width: float, n: int = SAMPLES) -> _Lines:
        line, known = _across(x[:n], y[:n], angle, convergence)
        explained = _explained(line / np.float32(width), detail[:n], weight[:n] * known)
        return _Lines(explained, angle, convergence)

    coarse = [tried(a, c, COARSE_PX, COARSE_SAMPLES) for a in ANGLES for c in CONVERGENCES]
    found = []
    for best in sorted(coarse, reverse=True)[:BEGINNINGS]:
        for degrees, step in FINER:
            turn = np.deg2rad(degrees)
            best = max(
                tried(best.angle + i * turn, best.convergence + j * step, FINE_PX)
                for i in (-1, 0, 1)
                for j in (-1, 0, 1)
            )
        found.append(best)
    return max(found)


def _coordinates(zone: Matte) -> tuple[Matte, Matte]:
    """x and y in px from the zone's middle."""
    y, x = np.mgrid[0 : zone.shape[0], 0 : zone.shape[1]].astype(np.float32)
    total = max(float(zone.sum()), 1e-6)
    return x - np.float32((x * zone).sum() / total), y - np.float32((y * zone).sum() / total)


def _across(x: Matte, y: Matte, angle: float, convergence: float) -> tuple[Matte, BoolMask]:
    """Which line each point is on, in px at the zone's middle, and where that can be told."""
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


def _tones(rest: Planes, zone: Matte, lines: _Lines) -> Planes:
    """Each line's tone, spread over the picture, `(h, w, 3)`."""
    x, y = _coordinates(zone)
    line, known = _across(x, y, lines.angle, lines.convergence)
    along = x * np.float32(np.cos(lines.angle)) + y * np.float32(np.sin(lines.angle))
    number = _numbered(line / TONE_PX)
    weight, depth = zone * known, rest.mean(axis=2)
    start = _lit_levels(number, along, depth, weight)
    lit = weight * (np.abs(depth - start[number]) < LIKE)
    seen = np.bincount(number.ravel(), lit.ravel(), LINES) + DOUBT_PX
    sums = [
        np.bincount(number.ravel(), (lit * plane).ravel(), LINES) / seen for plane in split(rest)
    ]
    tones = np.stack(sums, axis=-1).astype(np.float32)
    return np.asarray(tones[number] * known[..., None], np.float32)


def _lit_levels(
    number: NDArray[np.int64], along: Matte, depth: Matte, weight: Matte
) -> NDArray[np.float64]:
    """The darkness of each line where it is lit: that of the second brightest of its parts."""
    ends = np.quantile(along[weight > LEAST_ZONE], np.arange(1, PARTS) / PARTS)
    part = np.searchsorted(ends, along.ravel())
    level = np.clip((depth - DARKEST) / LEVEL, 0, LEVELS - 1).astype(np.int64)
    cell = (number.ravel() * PARTS + part) * LEVELS + level.ravel()
    counts = np.bincount(cell, weight.ravel(), LINES * PARTS * LEVELS)
    below = np.cumsum(counts.reshape(LINES, PARTS, LEVELS), axis=2)
    total = below[..., -1]
    middle = np.count_nonzero(below < LIT_SHARE * total[..., None], axis=2)
    middle = np.sort(np.where(total > LEAST_PART_PX, middle, LEVELS), axis=1)
    second = np.where(middle[:, 1] < LEVELS, middle[:, 1], middle[:, 0])
    return np.asarray((second + 0.5) * LEVEL + DARKEST)
