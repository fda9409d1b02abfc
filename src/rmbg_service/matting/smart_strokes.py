"""Strokes as hints: a stroke means the thing under it, up to the edges of that.

Each stroke is solved for itself, in its neighbourhood and on a small grid: a random walker spreads
its label from the stroke. Evidence against that are the edges of the image, an alpha that was
sure of the opposite, and colours that the rest of the neighbourhood has and the stroke has not.
Colours that are clearly of the rest hold a pixel even if all around it changes, so that thin rims
stay. How far a label spreads where nothing stops it grows with the width of the brush. The edge
that this makes is then refined like that of a network's matte, and the stroke itself is painted.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from rmbg_service.matting.arrays import UNIT, resize, size_within
from rmbg_service.matting.random_walker import grid_of, walk
from rmbg_service.matting.strokes import PAINTED, Strokes, paint
from rmbg_service.matting.upsampling import refine
from rmbg_service.types import Alpha, BoolMask, Box, Matte, RgbImage

MAX_STROKES = 12
"""This many strokes of a kind, the largest ones, are hints; all are painted as they are."""

STROKES_SIDE_PX = 1024
JOIN_PX = 5
"""Longest side at which strokes are told apart, and the gap there that makes them two."""

REACH_OF_STROKE, REACH_OF_IMAGE = 0.5, 0.2
"""How far a stroke can reach: this share of its own length or of the image's longest side,
whichever is more."""

GRID_PX = 240
"""Longest side of the grid for the neighbourhood of a stroke."""

PRIOR_STRENGTH, BRUSH_PX = 0.0125, 3
"""Strength of the priors for a brush of this radius on the grid; it falls with the square."""

OPPOSED_STRENGTH, OPPOSED_ODDS = 10.0, -2.0
"""How many times the strength each unit adds by which the log odds from colours are below this, so
that labels do not leak over a thin rim of other colours."""

SUREST = 0.02
"""Nearest to 0 or 1 that an alpha counts as sure."""

RARE = 3e-5
"""Density of colours that are too rare to tell anything."""

MAX_ODDS = 4.0
"""Largest log odds from colours."""

BEFORE_COUNTS, DISTANCE_COUNTS = 0.5, 0.2
"""How much the log odds of the alpha before count, and each radius of the brush away from it."""

OTHERS_RADII = 6.0
"""Colours within so many radii of the brush count less as those of the surroundings: the thing
under the stroke may be there."""

NOISE_PX = 0.7
"""Standard deviation of the blur on the grid that keeps noise from being taken for edges."""

COLOUR_BINS = 24
STEEPNESS = 4.0
WHOLE = 0.95
"""What has less than this alpha was there in part at most, and can change."""

NEAR_PX, FAR_PX = 4, 8
"""Distances on the grid from what changed up to which its edge can change wholly, and at all."""


class _Stroke(NamedTuple):
    """One stroke, as masks `(h, w)`, and its reach on them.

    `same` and `opposite` are where anything is painted with its label and the other one. `detached`
    is a thing apart from the rest of what had the other label, such as a bystander or a hole, that
    the stroke is on.
    """

    keeps: bool
    own: BoolMask
    same: BoolMask
    opposite: BoolMask
    detached: BoolMask
    reach: Box


def mend(rgb: RgbImage, alpha: Alpha, strokes: Strokes) -> Alpha:
    """A copy of `alpha` `(H, W)` that follows the strokes on `rgb` `(H, W, 3)`.

    Nothing changes outside the reach of the strokes, see `REACH_OF_STROKE`. A stroke that keeps
    only raises alpha, one that erases only lowers it.
    """
    size = size_within(strokes.keep.shape, STROKES_SIDE_PX)
    small = Strokes(*(resize(plane, size) for plane in strokes))
    mended = alpha.copy()
    for keeps, (same, opposite) in ((True, small), (False, small[::-1])):
        for own in _largest(same):
            detached = _detached((resize(mended, own.shape) < 128) == keeps, own)
            stroke = _Stroke(keeps, own, same > PAINTED, opposite > PAINTED, detached, _reach(own))
            _apply(stroke, rgb, mended)
    return paint(mended, strokes)


def _largest(plane: Alpha) -> list[BoolMask]:
    """The largest strokes of a plane."""
    painted = (plane > PAINTED).astype(np.uint8)
    joined = cv2.dilate(painted, np.ones((JOIN_PX, JOIN_PX), np.uint8))
    count, labels = cv2.connectedComponents(joined)
    areas = np.bincount(labels[painted > 0], minlength=count)
    areas[0] = 0
    largest = [label for label in np.argsort(-areas)[:MAX_STROKES] if areas[label]]
    return [(labels == label) & (painted > 0) for label in largest]


def _detached(free: BoolMask, stroke: BoolMask) -> BoolMask:
    """The connected parts of `free` that the stroke is on, but not the largest one of all."""
    _, labels, facts, _ = cv2.connectedComponentsWithStats(free.astype(np.uint8), connectivity=4)
    areas = facts[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    touched = np.setdiff1d(labels[stroke & free], [0, int(np.argmax(areas))])
    return np.isin(labels, touched)


def _reach(stroke: BoolMask) -> Box:
    """The box of a stroke, widened by what it can reach."""
    height, width = stroke.shape
    left, top, across, down = cv2.boundingRect(stroke.astype(np.uint8))
    most = max(REACH_OF_STROKE * max(across, down), REACH_OF_IMAGE * max(height, width))
    margin = int(np.ceil(most))
    return Box(
        max(0, left - margin),
        max(0, top - margin),
        min(width, left + across + margin),
        min(height, top + down + margin),
    )


def _apply(stroke: _Stroke, rgb: RgbImage, alpha: Alpha) -> None:
    """Change `alpha` within the reach of a stroke."""
    box, (height, width) = stroke.reach, stroke.own.shape
    down, across = alpha.shape[0] / height, alpha.shape[1] / width
    here = (
        slice(int(box.top * down), int(np.ceil(box.bottom * down))),
        slice(int(box.left * across), int(np.ceil(box.right * across))),
    )
    level = alpha[here] if stroke.keeps else 255 - alpha[here]
    spread = _spread(rgb[here], level, stroke)
    alpha[here] = spread if stroke.keeps else 255 - spread


def _spread(rgb: RgbImage, level: Alpha, stroke: _Stroke) -> Alpha:
    """`level` `(H, W)`, the alpha of the stroke's own label, raised where the stroke spreads."""
    size = size_within(level.shape, GRID_PX)
    own, same, opposite, detached = (_on_grid(mask, stroke.reach, size) for mask in stroke[1:5])
    opposite &= ~own
    lab = np.asarray(cv2.cvtColor(resize(rgb, size), cv2.COLOR_RGB2LAB), np.uint8)
    before = resize(level, size) * UNIT
    label = _solved(lab, before, own, same | own, opposite, detached)

    changed = _touching((label > 0.5) & (before < WHOLE) | own, own)
    share = np.clip((FAR_PX - _distance(~changed)) / (FAR_PX - NEAR_PX), 0, 1)
    steep = np.clip((label - 0.5) * STEEPNESS + 0.5, 0, 1)
    matte = np.asarray(np.maximum(before, np.where(share > 0, steep, 0)), np.float32)
    refined = refine(rgb, matte)
    shares = cv2.resize(np.asarray(share * 255, np.uint8), level.shape[::-1])
    gained = cv2.multiply(refined, shares, scale=1 / 255)
    return np.maximum(level, gained).astype(np.uint8, copy=False)


def _solved(
    lab: NDArray[np.uint8],
    before: Matte,
    own: BoolMask,
    same: BoolMask,
    opposite: BoolMask,
    detached: BoolMask,
) -> Matte:
    """How much each pixel of the grid belongs to the stroke, in [0, 1].

    What is `detached` is not evidence against the stroke: neither what it was taken for before nor
    its colours.
    """
    radius = max(1.0, float(_distance(np.pad(own, 1)).max()))
    away = _distance(~same) / radius
    free, seeds = before < 0.5, same | opposite
    label = np.where(seeds, same, ~free).astype(np.float32)

    surroundings = (1 - label) * (free & ~detached) * (1 - np.exp(-((away / OTHERS_RADII) ** 2)))
    known, others = _density(lab, same.astype(np.float32)), _density(lab, surroundings)
    odds = np.log((known + RARE) / (others + RARE)).clip(-MAX_ODDS, MAX_ODDS)
    sure = np.where(detached, 0.5, np.clip(before, SUREST, 1 - SUREST))
    against = BEFORE_COUNTS * np.log((1 - sure) / sure) + DISTANCE_COUNTS * away - odds
    prior = np.where(free, 1 / (1 + np.exp(against.clip(max=50))), 1).astype(np.float32)

    opposed = np.where(free, np.maximum(OPPOSED_ODDS - odds, 0), 0).astype(np.float32)
    strength = PRIOR_STRENGTH * (BRUSH_PX / radius) ** 2 * (1 + OPPOSED_STRENGTH * opposed)
    smooth = np.asarray(cv2.GaussianBlur(lab, (0, 0), NOISE_PX), np.uint8)
    return walk(grid_of(smooth), prior, strength, seeds, label)


def _distance(mask: BoolMask) -> Matte:
    """Distance in px of each pixel of a mask from the nearest one outside it."""
    return np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), np.float32)


def _density(lab: NDArray[np.uint8], weights: Matte) -> Matte:
    """How frequent each pixel's colour is among those with `weights`: a smoothed histogram."""
    bins = (lab.astype(np.int32) * COLOUR_BINS) >> 8
    index = (bins[..., 0] * COLOUR_BINS + bins[..., 1]) * COLOUR_BINS + bins[..., 2]
    flat = np.bincount(index.ravel(), weights.ravel(), COLOUR_BINS**3)
    counts = np.asarray(flat.reshape((COLOUR_BINS,) * 3), np.float64)
    for axis in range(3):
        padded = np.pad(counts, [(int(axis == side),) * 2 for side in range(3)])
        low, middle, high = (
            padded.take(range(start, start + COLOUR_BINS), axis) for start in range(3)
        )
        counts = low / 4 + middle / 2 + high / 4
    return np.asarray(counts.ravel()[index] / max(float(counts.sum()), 1e-9), np.float32)


def _on_grid(mask: BoolMask, reach: Box, size: tuple[int, int]) -> BoolMask:
    """The part of a mask within `reach` on a grid of `size`; something is left of a thin stroke."""
    part = mask[reach.top : reach.bottom, reach.left : reach.right].astype(np.float32)
    covered = np.asarray(cv2.resize(part, size[::-1], interpolation=cv2.INTER_AREA))
    most = float(covered.max())
    return np.asarray(covered > min(0.3, most / 2)) if most else np.zeros(size, np.bool_)


def _touching(mask: BoolMask, stroke: BoolMask) -> BoolMask:
    """The connected parts of a mask that the stroke is on."""
    labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[1]
    return np.isin(labels, np.unique(labels[stroke & mask]))
