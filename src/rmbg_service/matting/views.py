"""Further looks of the network at one picture, and one matte from all of them.

A network answers a little differently when the picture is mirrored, or when it sees a box of it
larger. Several answers are pooled by their log odds (the logarithmic opinion pool; Genest and
Zidek, "Combining probability distributions", Statistical Science 1986): who is sure counts more,
so that the edge stays as narrow as in one answer; the plain mean would leave it softer.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rmbg_service.matting.arrays import resize
from rmbg_service.matting.crops import blend
from rmbg_service.types import Box, Matte

SUREST = 1e-4
"""Nearest to 0 or 1 that a single answer may get in a pool; the pool's range is still [0, 1]."""


class View(NamedTuple):
    """What the network is shown: a box of the picture, or all of it; as it is or left for right."""

    box: Box | None = None
    mirrored: bool = False


WHOLE = View()
"""The first look."""


def join(
    matte: Matte,
    size: tuple[int, int],
    views: Sequence[View],
    mattes: Sequence[Matte],
    box_share: float = 1.0,
) -> Matte:
    """The matte of the first look, at the whole picture, with those of further `views` of it.

    `size` is the picture's `(height, width)`. Looks at the same box are pooled; boxes then count
    in the band where the pool of the whole picture was unsure, see `crops.blend`. `box_share` in
    [0, 1] is the weight of the boxes there, the rest is the whole picture's.
    """
    looks: dict[Box | None, list[Matte]] = {None: [matte]}
    for view, seen in zip(views, mattes, strict=True):
        looks.setdefault(view.box, []).append(seen[:, ::-1] if view.mirrored else seen)
    whole = pool(looks[None])
    boxes = {box: pool(seen) for box, seen in looks.items() if box is not None}
    joined = blend(whole, size, list(boxes), list(boxes.values()))
    if not boxes or box_share == 1:
        return joined
    return pool([resize(whole, joined.shape[:2]), joined], [1 - box_share, box_share])


def pool(mattes: Sequence[Matte], weights: Sequence[float] | None = None) -> Matte:
    """Mean of mattes of one shape, in [0, 1], by their log odds; a single one stays as it is."""
    if len(mattes) == 1:
        return mattes[0]
    inside = [SUREST + (1 - 2 * SUREST) * np.clip(m, 0, 1).astype(np.float64) for m in mattes]
    odds = np.average([np.log(m / (1 - m)) for m in inside], axis=0, weights=weights)
    mean = (1 / (1 + np.exp(-odds)) - SUREST) / (1 - 2 * SUREST)
    return np.asarray(np.clip(mean, 0, 1), np.float32)
