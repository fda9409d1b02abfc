"""The contact area: what the subject covers of the floor, and where it may touch it."""

from typing import NamedTuple

import cv2
import numpy as np

from rmbg_service.types import BoolMask, Matte

SUBJECT = 0.5
MIN_SUBJECT_PX = 30

SUBJECT_FREE = 0.04
"""Matte up to which a pixel shows the floor."""

FOOT = 0.3
"""The lower part of the subject's height that may touch the floor."""

REACH = 0.9
"""How far around the foot the floor is searched for, in sizes of the subject."""


class ContactArea(NamedTuple):
    """Where a subject meets its floor, at the working size.

    `covered` `(h, w)` is what the subject hides, its soft edge included; `foot` is the rim of its
    lower part; `distance` is that from the foot in sizes of the subject, one size being the root of
    its box's area; `floor_weight` in [0, 1] says how much a pixel tells about the floor around the
    foot; `area` is the subject's in px.
    """

    covered: BoolMask
    foot: BoolMask
    distance: Matte
    floor_weight: Matte
    area: int


def find_contact_area(matte: Matte) -> ContactArea | None:
    """The contact area of the subject in `matte` `(h, w)`; None if there is no subject."""
    subject = matte > SUBJECT
    area = int(np.count_nonzero(subject))
    if area < MIN_SUBJECT_PX:
        return None
    _, top, width, height = cv2.boundingRect(subject.astype(np.uint8))
    covered = dilated(matte > SUBJECT_FREE, 1)
    foot = dilated(covered, 1) & ~covered
    foot[: round(top + (1 - FOOT) * height)] = False
    if not foot.any():
        nothing = np.zeros_like(matte)
        return ContactArea(covered, foot, nothing, nothing, area)
    pixels = cv2.distanceTransform((~foot).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    distance = (pixels / np.float32(np.sqrt(width * height))).astype(np.float32)
    rows = np.arange(matte.shape[0], dtype=np.float32)[:, None]
    below_middle = np.clip((rows - (top + 0.5 * height)) / (0.3 * height), 0, 1)
    weight = np.exp(-0.5 * np.square(distance / REACH)) * below_middle * ~covered
    return ContactArea(covered, foot, distance, weight.astype(np.float32), area)


def dilated(flags: BoolMask, pixels: int) -> BoolMask:
    """`flags` and every pixel at most `pixels` rows and columns away."""
    kernel = np.ones((2 * pixels + 1,) * 2, np.uint8)
    return np.asarray(cv2.dilate(flags.astype(np.uint8), kernel) > 0)
