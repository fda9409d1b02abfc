"""Where a further prediction from a crop is worth it: boxes of the image to show the network.

The caller shrinks each box to the network's input and predicts it; `augmentation` joins the mattes.
"""

import math

import numpy as np

from rmbg_service.types import Box, Matte

SUBJECT_LEVEL = 0.5
MARGIN = 0.3
"""Share of the subject's box added on each side: the network needs to see surroundings."""

MIN_GAIN = 1.1
"""A box that shows the network less than this much more detail is not worth a prediction."""

MAX_BOX = 4
"""A box longer than this many network inputs is cut into overlapping boxes."""

MAX_BOXES_A_SIDE = 3
OVERLAP = 0.25
"""Share of a box's side."""

UNSURE = 0.05
"""The network is unsure of values farther than this from 0 and 1."""


def plan_crops(
    matte: Matte,
    size: tuple[int, int],
    input_size: tuple[int, int],
    *,
    least_gain: float = MIN_GAIN,
    split: bool = True,
) -> list[Box]:
    """The boxes to predict again; none if nothing was found or little would be gained.

    `matte` is that of the whole image, `size` the image's `(height, width)`, `input_size` the
    network's. One box around the subject, or, if that is too large and `split` is set, overlapping
    boxes that hold a part of the subject's edge. A side that the network sees in full is not cut.
    """
    subject = subject_box(matte, size)
    if subject is None:
        return []
    input_px = max(input_size)
    count = math.ceil(subject.longest_side / (MAX_BOX * input_px)) if split else 1
    most = min(count + 1, MAX_BOXES_A_SIDE)
    boxes = [subject] if count == 1 else _split(subject, most, input_px)
    if detail_gain(boxes[0], size, input_size) < least_gain:
        return []
    return boxes if len(boxes) == 1 else [b for b in boxes if _holds_edge(matte, size, b)]


def detail_gain(box: Box, size: tuple[int, int], input_size: tuple[int, int]) -> float:
    """How many times more detail the network sees in the box than in the whole image."""
    input_px = max(input_size)
    return _scale(box.longest_side, input_px) / _scale(max(size), input_px)


def subject_box(matte: Matte, size: tuple[int, int]) -> Box | None:
    """The box of everything above 0.5, with a margin, in pixels of the image."""
    rows = np.flatnonzero((matte > SUBJECT_LEVEL).any(axis=1))
    columns = np.flatnonzero((matte > SUBJECT_LEVEL).any(axis=0))
    if not rows.size:
        return None
    top, bottom = _widened(rows[0] / matte.shape[0], (rows[-1] + 1) / matte.shape[0], size[0])
    left, right = _widened(columns[0] / matte.shape[1], (columns[-1] + 1) / matte.shape[1], size[1])
    return Box(left, top, right, bottom)


def _widened(low: float, high: float, length: int) -> tuple[int, int]:
    margin = MARGIN * (high - low)
    return (
        max(0, math.floor((low - margin) * length)),
        min(length, math.ceil((high + margin) * length)),
    )


def _scale(side: int, input_px: int) -> float:
    """How much of a side's detail the network sees."""
    return min(1.0, input_px / side)


def _split(box: Box, count: int, input_px: int) -> list[Box]:
    def spans(low: int, high: int) -> list[tuple[int, int]]:
        if high - low <= input_px:
            return [(low, high)]
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
