"""Where the subject stands: what it hides of the floor, and where it may touch it."""

from typing import NamedTuple

import cv2
import numpy as np

from rmbg_service.types import BoolMask, Matte

SUBJECT = 0.5
LEAST_SUBJECT_PX = 30

SUBJECT_FREE = 0.04
"""Matte up to which a pixel shows the floor."""

FOOT = 0.3
"""The lower part of the subject's height that may touch the floor."""

REACH = 0.9
"""How far around the foot the floor is looked for, in sizes of the subject."""


class Stand(NamedTuple):
    """A subject on its floor, at the working size.

    `covered` `(h, w)` is what the subject hides, its soft edge included; `foot` the rim of its
    lower part; `away` the distance from the foot in sizes of the subject, where a size is the root
    of its box's area; `zone` in [0, 1] says how much each pixel tells of the floor around the foot;
    `area` is the subject's in px.
    """

    covered: BoolMask
    foot: BoolMask
    away: Matte
    zone: Matte
    area: int


def find_stand(matte: Matte) -> Stand | None:
    """The stand of the subject in `matte` `(h, w)`; None where there is no subject."""
    subject = matte > SUBJECT
    area = int(np.count_nonzero(subject))
    if area < LEAST_SUBJECT_PX:
        return None
    _, top, width, height = cv2.boundingRect(subject.astype(np.uint8))
    covered = grown(matte > SUBJECT_FREE, 1)
    foot = grown(covered, 1) & ~covered
    foot[: round(top + (1 - FOOT) * height)] = False
    if not foot.any():
        nothing = np.zeros_like(matte)
        return Stand(covered, foot, nothing, nothing, area)
    distance = cv2.distanceTransform((~foot).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    away = distance / np.float32(np.sqrt(width * height))
    rows = np.arange(matte.shape[0], dtype=np.float32)[:, None]
    below_middle = np.clip((rows - (top + 0.5 * height)) / (0.3 * height), 0, 1)
    zone = np.exp(-0.5 * np.square(away / REACH)) * below_middle * ~covered
    return Stand(covered, foot, away.astype(np.float32), zone.astype(np.float32), area)


def grown(flags: BoolMask, pixels: int) -> BoolMask:
    """`flags` and what is at most `pixels` rows and columns away."""
    kernel = np.ones((2 * pixels + 1,) * 2, np.uint8)
    return np.asarray(cv2.dilate(flags.astype(np.uint8), kernel) > 0)
