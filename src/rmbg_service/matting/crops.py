"""Locate, crop, run again: where a second pass of the network is worth it, and how to join it.

Pure planning: `plan_crops` says which boxes of the picture to shrink to the network's input again,
the caller runs the network, and `blend` joins the mattes to one larger matte.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from rmbg_service.matting.arrays import resize
from rmbg_service.types import Box, Matte

SUBJECT_LEVEL = 0.5
MARGIN = 0.3
"""Share of the subject's box added on each side: the network needs to see surroundings."""

LEAST_GAIN = 1.1
"""A box that shows the network less than this much more detail is not worth a pass."""

LARGEST_BOX = 4
"""A box longer than this many network inputs is cut into tiles."""

MOST_TILES_A_SIDE = 3
OVERLAP = 0.25
FEATHER = 0.12
"""Shares of a tile's side."""

LEAST_AGREEMENT = 0.75
"""Soft IoU with the first pass below which a second pass has lost the subject."""

UNSURE = 0.05
BAND_PX = 3
LARGEST_SIDE_PX = 2048


def plan_crops(
    matte: Matte,
    size: tuple[int, int],
    input_size: tuple[int, int],
    *,
    least_gain: float = LEAST_GAIN,
    tiles: bool = True,
) -> list[Box]:
    """The boxes for a second pass; none when nothing was found or little would be gained.

    `matte` is the first pass's, `size` the picture's `(height, width)`, `input_size` the network's.
    One box around the subject, or, where that is still too large and `tiles` is set, overlapping
    tiles of it that hold a part of the subject's edge.
    """
    subject = subject_box(matte, size)
    if subject is None:
        return []
    input_px = max(input_size)
    count = math.ceil(subject.longest_side / (LARGEST_BOX * input_px)) if tiles else 1
    boxes = [subject] if count == 1 else _tiles(subject, min(count + 1, MOST_TILES_A_SIDE))
    if detail_gain(boxes[0], size, input_size) < least_gain:
        return []
    return boxes if len(boxes) == 1 else [b for b in boxes if _holds_edge(matte, size, b)]


def detail_gain(box: Box, size: tuple[int, int], input_size: tuple[int, int]) -> float:
    """How many times more detail the network sees in the box than in the whole picture."""
    input_px = max(input_size)
    return _scale(box.longest_side, input_px) / _scale(max(size), input_px)


def subject_box(matte: Matte, size: tuple[int, int]) -> Box | None:
    """The box of everything above 0.5, with a margin, in pixels of the picture."""
    rows = np.flatnonzero((matte > SUBJECT_LEVEL).any(axis=1))
    columns = np.flatnonzero((matte > SUBJECT_LEVEL).any(axis=0))
    if not rows.size:
        return None
    top, bottom = _widened(rows[0] / matte.shape[0], (rows[-1] + 1) / matte.shape[0], size[0])
    left, right = _widened(columns[0] / matte.shape[1], (columns[-1] + 1) / matte.shape[1], size[1])
    return Box(left, top, right, bottom)


def blend(
    matte: Matte, size: tuple[int, int], boxes: Sequence[Box], mattes: Sequence[Matte]
) -> Matte:
    """One matte of the whole picture, large enough for the detail of the second pass.

    The second pass counts in the band where the first was unsure, fading out to the sides of its
    box; where it disagrees with the first about the subject as a whole, it is dropped.
    """
    if not boxes:
        return matte
    scale = max(max(m.shape) / b.longest_side for m, b in zip(mattes, boxes, strict=True))
    scale = min(1.0, scale, LARGEST_SIDE_PX / max(size))
    target = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    first = resize(np.clip(matte, 0, 1), target)
    total, weight = np.zeros_like(first), np.zeros_like(first)
    for box, second in zip(boxes, mattes, strict=True):
        left, top, right, bottom = (round(edge * scale) for edge in box)
        part = slice(top, bottom), slice(left, right)
        if first[part].size == 0:
            continue
        here = resize(np.clip(second, 0, 1), first[part].shape)
        if _agreement(first[part], here) >= LEAST_AGREEMENT:
            fade = _fade(box, size, here.shape)
            total[part] += fade * here
            weight[part] += fade
    mean = np.divide(total, weight, out=first.copy(), where=weight > 0)
    unsure = ((matte > UNSURE) & (matte < 1 - UNSURE)).astype(np.uint8)
    band = cv2.dilate(unsure, np.ones((2 * BAND_PX + 1,) * 2, np.uint8)).astype(np.float32)
    share = np.minimum(weight, 1) * resize(band, target, cv2.INTER_LINEAR)
    return np.asarray(first + share * (mean - first), dtype=np.float32)


def _widened(low: float, high: float, length: int) -> tuple[int, int]:
    margin = MARGIN * (high - low)
    return (
        max(0, math.floor((low - margin) * length)),
        min(length, math.ceil((high + margin) * length)),
    )


def _scale(side: int, input_px: int) -> float:
    """How much of a side's detail the network sees."""
    return min(1.0, input_px / side)


def _tiles(box: Box, count: int) -> list[Box]:
    def spans(low: int, high: int) -> list[tuple[int, int]]:
        length = (high - low) / (count - (count - 1) * OVERLAP)
        starts = [low + i * length * (1 - OVERLAP) for i in range(count)]
        return [(math.floor(s), min(high, math.ceil(s + length))) for s in starts]

    return [
        Box(left, top, right, bottom)
        for top, bottom in spans(box.top, box.bottom)
        for left, right in spans(box.left, box.right)
    ]


def _holds_edge(matte: Matte, size: tuple[int, int], box: Box) -> bool:
    down, across = matte.shape[0] / size[0], matte.shape[1] / size[1]
    part = matte[
        math.floor(box.top * down) : math.ceil(box.bottom * down),
        math.floor(box.left * across) : math.ceil(box.right * across),
    ]
    return bool(((part > UNSURE) & (part < 1 - UNSURE)).any())


def _agreement(first: Matte, second: Matte) -> float:
    larger = float(np.maximum(first, second).sum())
    return float(np.minimum(first, second).sum()) / larger if larger else 1.0


def _fade(box: Box, size: tuple[int, int], shape: tuple[int, ...]) -> Matte:
    """1 inside, falling to 0 at those sides of the box that are not the picture's own."""

    def ramp(length: int, fade_in: bool, fade_out: bool) -> Matte:
        position = (np.arange(length, dtype=np.float32) + 0.5) / (FEATHER * length)
        rise = position if fade_in else np.ones_like(position)
        fall = position[::-1] if fade_out else np.ones_like(position)
        return np.asarray(np.clip(np.minimum(rise, fall), 0, 1))

    rows = ramp(shape[0], box.top > 0, box.bottom < size[0])
    columns = ramp(shape[1], box.left > 0, box.right < size[1])
    return np.outer(rows, columns)
