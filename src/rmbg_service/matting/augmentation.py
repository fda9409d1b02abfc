"""Test-time augmentation: one matte from several views of an image.

A network answers a little differently when the image is mirrored, or when it sees a part of it
enlarged. Mattes of one area are averaged in log odds (the logarithmic opinion pool; Genest and
Zidek, "Combining probability distributions", Statistical Science 1986). A sure answer then counts
more than an unsure one, so the edge stays as narrow as in a single matte; a plain mean would soften
it. Mattes of boxes then replace the band in which the matte of the whole image is unsure.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from rmbg_service.imaging.tiling import bands
from rmbg_service.matting.arrays import resize
from rmbg_service.matting.crops import UNSURE
from rmbg_service.types import Box, Matte

SUREST = 1e-4
"""Nearest to 0 or 1 that a single matte may get in a mean; the mean itself reaches both."""

FEATHER = 0.12
"""Share of a box's side over which its matte fades out."""

MIN_AGREEMENT = 0.75
"""Soft IoU with the matte of the whole image below which a box has lost the subject."""

BAND_PX = 3
MAX_SIDE_PX = 2048
"""Longest side of a combined matte."""


class View(NamedTuple):
    """What the network is shown: a box of the image or all of it, as it is or mirrored."""

    box: Box | None = None
    mirrored: bool = False


FULL_VIEW = View()
"""The whole image as it is: always the first view."""


def combine_views(
    matte: Matte,
    size: tuple[int, int],
    views: Sequence[View],
    mattes: Sequence[Matte],
    box_share: float = 1.0,
) -> Matte:
    """The matte of the full view combined with the `mattes` of further `views`.

    `size` is the image's `(height, width)`. Mattes of the same box are averaged; boxes then count
    in the band in which the whole image is unsure, see `merge_boxes`. `box_share` in [0, 1] is
    the weight of the boxes there, the rest is the whole image's.
    """
    by_box: dict[Box | None, list[Matte]] = {None: [matte]}
    for view, further in zip(views, mattes, strict=True):
        by_box.setdefault(view.box, []).append(further[:, ::-1] if view.mirrored else further)
    whole = log_odds_mean(by_box[None])
    boxes = {box: log_odds_mean(group) for box, group in by_box.items() if box is not None}
    merged = merge_boxes(whole, size, list(boxes), list(boxes.values()))
    if not boxes or box_share == 1:
        return merged
    return log_odds_mean([resize(whole, merged.shape[:2]), merged], [1 - box_share, box_share])


def log_odds_mean(mattes: Sequence[Matte], weights: Sequence[float] | None = None) -> Matte:
    """Mean of mattes of one shape, in [0, 1], by their log odds; a single one stays as it is."""
    if len(mattes) == 1:
        return mattes[0]
    mean = np.empty_like(mattes[0], np.float32)
    for rows in bands(mean.shape):
        parts = np.clip([matte[rows] for matte in mattes], 0, 1).astype(np.float64)
        inside = SUREST + (1 - 2 * SUREST) * parts
        odds = np.average(np.log(inside / (1 - inside)), axis=0, weights=weights)
        mean[rows] = np.clip((1 / (1 + np.exp(-odds)) - SUREST) / (1 - 2 * SUREST), 0, 1)
    return mean


def merge_boxes(
    matte: Matte, size: tuple[int, int], boxes: Sequence[Box], mattes: Sequence[Matte]
) -> Matte:
    """One matte of the whole image, large enough for the detail of the boxes.

    A box counts in the band in which `matte` is unsure, fading out to the box's sides. A box that
    disagrees with `matte` about the subject as a whole is dropped.
    """
    if not boxes:
        return matte
    scale = max(max(m.shape) / b.longest_side for m, b in zip(mattes, boxes, strict=True))
    scale = min(1.0, scale, MAX_SIDE_PX / max(size))
    target = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    whole = resize(np.clip(matte, 0, 1), target)
    total, weight = np.zeros_like(whole), np.zeros_like(whole)
    for box, boxed in zip(boxes, mattes, strict=True):
        left, top, right, bottom = (round(edge * scale) for edge in box)
        part = slice(top, bottom), slice(left, right)
        if whole[part].size == 0:
            continue
        here = resize(np.clip(boxed, 0, 1), whole[part].shape)
        if _agreement(whole[part], here) >= MIN_AGREEMENT:
            fade = _fade(box, size, here.shape)
            total[part] += fade * here
            weight[part] += fade
    mean = np.divide(total, weight, out=whole.copy(), where=weight > 0)
    unsure = ((matte > UNSURE) & (matte < 1 - UNSURE)).astype(np.uint8)
    band = cv2.dilate(unsure, np.ones((2 * BAND_PX + 1,) * 2, np.uint8)).astype(np.float32)
    share = np.minimum(weight, 1) * resize(band, target, cv2.INTER_LINEAR)
    return np.asarray(whole + share * (mean - whole), dtype=np.float32)


def _agreement(whole: Matte, boxed: Matte) -> float:
    larger = float(np.maximum(whole, boxed).sum())
    return float(np.minimum(whole, boxed).sum()) / larger if larger else 1.0


def _fade(box: Box, size: tuple[int, int], shape: tuple[int, ...]) -> Matte:
    """1 inside, falling to 0 at those sides of the box that are not the image's own."""

    def ramp(length: int, fade_in: bool, fade_out: bool) -> Matte:
        position = (np.arange(length, dtype=np.float32) + 0.5) / (FEATHER * length)
        rise = position if fade_in else np.ones_like(position)
        fall = position[::-1] if fade_out else np.ones_like(position)
        return np.asarray(np.clip(np.minimum(rise, fall), 0, 1))

    rows = ramp(shape[0], box.top > 0, box.bottom < size[0])
    columns = ramp(shape[1], box.left > 0, box.right < size[1])
    return np.outer(rows, columns)
