"""Colours under the transparent part of a frame."""

import cv2
import numpy as np

from rmbg_service.types import Alpha, RgbImage

REACH_PX = 16
"""As far as a block of the codecs reaches over the subject's edge."""


def spread(rgb: RgbImage, alpha: Alpha) -> RgbImage:
    """`rgb` with the subject's colours continued into what is transparent, black further out.

    Video codecs store colour in blocks and at half resolution, so a hard step to black under alpha
    0 would darken the edge of the subject. What is continued is a mean weighted by alpha: nothing
    of the old background comes into it.
    """
    weight = alpha.astype(np.float32)
    size = (2 * REACH_PX + 1, 2 * REACH_PX + 1)
    total = cv2.boxFilter(weight, -1, size, normalize=False)[..., None]
    hidden = alpha == 0
    near = cv2.boxFilter(rgb * weight[..., None], -1, size, normalize=False) / np.maximum(total, 1)
    return np.where(hidden[..., None], near, rgb).astype(np.uint8)
