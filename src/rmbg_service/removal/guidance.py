"""What a caller knows about the subject: a matte in place of the network's, and strokes."""

from typing import NamedTuple

import cv2
import numpy as np

from rmbg_service.errors import InvalidImage, InvalidOption
from rmbg_service.imaging.source import SourceImage
from rmbg_service.matting.arrays import UNIT, resize, size_within
from rmbg_service.matting.plan import SMALL_NETWORK_PX
from rmbg_service.matting.strokes import Strokes, strokes_of
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.passes import Prediction
from rmbg_service.types import Alpha, Box

REFINED_SIDE_PX = 1024
"""Longest side at which a given matte is refined: that of a network's input."""

LEAST_SOFT, MOST_SOFT = 16, 239
"""Alpha of a soft pixel, of 255."""

SOFT_SHARE = 0.5
"""A matte with fewer soft pixels than this for each pixel of its contour is a mask."""


class Guidance(NamedTuple):
    """The caller's matte `(h, w)` and strokes, both of the image's shape but of any size."""

    matte: Alpha | None = None
    strokes: Strokes | None = None

    def within(self, source: SourceImage) -> "Guidance":
        """The part for what `source` holds of its image."""
        if source.region is None:
            return self
        region, size = source.region, (source.info.height, source.info.width)
        return Guidance(
            None if self.matte is None else _part(self.matte, region, size),
            None
            if self.strokes is None
            else Strokes(*(_part(plane, region, size) for plane in self.strokes)),
        )


def read_matte(image: SourceImage, size: tuple[int, int]) -> Alpha:
    """The matte that an image is, at most of `size`: its transparency if it has any, or its grey.

    `size` is the image's `(height, width)`.
    """
    matte = _grey(image) if _opaque(image) else image.alpha
    assert matte is not None
    return resize(matte, size) if max(matte.shape) > max(size) else matte


def read_strokes(image: SourceImage, size: tuple[int, int]) -> Strokes:
    """The strokes on a transparent image, for an image of `size`, `(height, width)`.

    Raises `InvalidImage` for an opaque one.
    """
    if image.alpha is None or _opaque(image):
        raise InvalidImage("expected strokes on a transparent image, got an opaque image")
    return strokes_of(_grey(image), image.alpha, size)


def prediction_of(matte: Alpha, size: tuple[int, int], options: RemovalOptions) -> Prediction:
    """The caller's matte in the place of a network's, for an image of `size`, `(height, width)`.

    A matte as large as the image is final. A smaller one is refined like a network's of its size,
    and so is a mask, which has no soft edges of its own, if `options.detail` is not `off`. A mask
    of thin lines alone, which refinement would lose, is taken as it is. Raises `InvalidOption` for
    `matting`.
    """
    if options.detail == "matting":
        raise InvalidOption("detail=matting refines the network's matte: leave out matte")
    refined = options.detail != "off"
    limited = resize(matte, size_within(matte.shape, REFINED_SIDE_PX))
    if refined and _is_mask(matte):
        soft = cv2.blur(limited, (3, 3))
        if soft.max() > MOST_SOFT:
            return Prediction(soft * UNIT, "guided")
        refined = False
    if refined and (options.detail == "guided" or max(matte.shape) < max(size)):
        guided = options.detail == "guided" or max(limited.shape) <= SMALL_NETWORK_PX
        return Prediction(limited * UNIT, "guided" if guided else "selective")
    return Prediction(limited * UNIT, "plain", resize(matte, size))


def _part(plane: Alpha, region: Box, size: tuple[int, int]) -> Alpha:
    """What lies on a `region` of an image of `size`, at the resolution of `plane`."""
    down, across = plane.shape[0] / size[0], plane.shape[1] / size[1]
    height, width = max(1, round(region.height * down)), max(1, round(region.width * across))
    down_step, across_step = region.height * down / height, region.width * across / width
    to_source = np.array(
        [
            [across_step, 0, region.left * across + across_step / 2 - 0.5],
            [0, down_step, region.top * down + down_step / 2 - 0.5],
        ]
    )
    part = cv2.warpAffine(
        plane,
        to_source,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(part, np.uint8)


def _is_mask(matte: Alpha) -> bool:
    """Whether a matte is black and white: its contour has hardly any soft pixels."""
    inside = cv2.threshold(matte, 127, 255, cv2.THRESH_BINARY)[1]
    contour = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))
    soft = cv2.countNonZero(cv2.inRange(matte, LEAST_SOFT, MOST_SOFT))
    return soft < SOFT_SHARE * cv2.countNonZero(contour)


def _grey(image: SourceImage) -> Alpha:
    return np.asarray(cv2.cvtColor(image.rgb, cv2.COLOR_RGB2GRAY), np.uint8)


def _opaque(image: SourceImage) -> bool:
    return image.alpha is None or cv2.minMaxLoc(image.alpha)[0] == 255
