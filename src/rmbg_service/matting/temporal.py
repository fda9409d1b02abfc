"""Temporal filtering: alphas without flicker, as a mean of three frames along the motion.

The alphas of the frames before and after are carried to where their pixels are now, by dense
optical flow (DIS: Kroeger, Timofte, Dai and Van Gool, ECCV 2016), and averaged with the one between
them: motion-compensated temporal filtering (Dubois and Sabri, IEEE Transactions on
Communications 32(7), 1984). A carried alpha counts only as far as the colours that are carried
with it agree with the frame. The mean uses frames on both sides, none of them filtered before, so
nothing lags behind a motion and errors do not accumulate.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from rmbg_service.matting.arrays import (
    UNIT,
    AnyArray,
    channel_max,
    merge,
    resize,
    size_within,
    split,
)
from rmbg_service.types import Alpha, Matte, Planes, RgbImage

TOLERANCE = 8.0
"""Difference of colour, in levels of 255, at which a neighbour's share has fallen to 1/e."""

AGREEMENT_PX = 5
"""Colours are compared as means over windows of this size, so that noise does not count."""

WORKING_SIDE_PX = 640
"""Flow and agreement are estimated with at most this long a side."""

MIN_SIDE_PX = 16
"""Smaller images, which DIS does not accept, count as still."""


class MattedFrame(NamedTuple):
    """A frame and its alpha; its presentation time and the clip's own alpha are only passed on."""

    rgb: RgbImage
    alpha: Alpha
    pts: int
    own_alpha: Alpha | None = None


class ComparedFrame:
    """A frame with what is compared of it, at the working size: grey, and colours without noise."""

    def __init__(self, frame: MattedFrame) -> None:
        self.size = size_within(frame.alpha.shape, WORKING_SIDE_PX)
        small = resize(frame.rgb, self.size)
        self.frame = frame
        self.grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        means = cv2.blur(small, (AGREEMENT_PX, AGREEMENT_PX))
        self.colours: RgbImage = np.asarray(means, np.uint8)


class Neighbourhood(NamedTuple):
    """A frame, and those before and after it: one at an end of the clip, none in a clip of one."""

    now: ComparedFrame
    others: Sequence[ComparedFrame]


def neighbourhoods(frames: Iterable[MattedFrame]) -> Iterator[Neighbourhood]:
    """Each frame with its neighbours, as soon as the next one has been read."""
    before: list[ComparedFrame] = []
    now: list[ComparedFrame] = []
    for matted in frames:
        after = [ComparedFrame(matted)]
        if now:
            yield Neighbourhood(now[0], before + after)
        before, now = now, after
    if now:
        yield Neighbourhood(now[0], before)


def mean_with_neighbours(neighbourhood: Neighbourhood) -> MattedFrame:
    """The frame with the mean of its alpha and those of its neighbours, moved to it."""
    now, others = neighbourhood
    mean = now.frame.alpha * UNIT
    weight = np.ones_like(mean)
    for other in others:
        carried, share = _carry(now, other)
        carried *= share
        mean += carried
        weight += share
    mean /= weight
    np.clip(mean, 0, 1, out=mean)
    mean *= 255
    return now.frame._replace(alpha=np.rint(mean, out=mean).astype(np.uint8))


def _carry(now: ComparedFrame, other: ComparedFrame) -> tuple[Matte, Matte]:
    """The other's alpha moved to this frame, and its share in [0, 1]."""
    motion: Planes = np.zeros((*now.size, 2), np.float32)
    if min(now.size) >= MIN_SIDE_PX:
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        motion = np.asarray(flow.calc(now.grey, other.grey, motion), np.float32)
    difference = cv2.absdiff(now.colours, _moved(other.colours, motion, cv2.INTER_LINEAR))
    worst = channel_max(np.asarray(difference, np.uint8)).astype(np.float32)
    share = np.asarray(np.exp(-np.square(worst / TOLERANCE)), np.float32)
    size = (now.frame.alpha.shape[0], now.frame.alpha.shape[1])
    carried = _moved(other.frame.alpha * UNIT, _enlarged(motion, size), cv2.INTER_CUBIC)
    return carried, resize(share, size, cv2.INTER_LINEAR)


def _moved(image: AnyArray, motion: Planes, interpolation: int) -> AnyArray:
    """What each pixel shows that is `motion` `(h, w, 2)` px, right and down, away in `image`."""
    right, down = split(motion)
    right += np.arange(motion.shape[1], dtype=np.float32)
    down += np.arange(motion.shape[0], dtype=np.float32)[:, None]
    moved = cv2.remap(image, right, down, interpolation, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, image.dtype)


def _enlarged(motion: Planes, size: tuple[int, int]) -> Planes:
    """A motion field for images of `size`, `(height, width)`."""
    height, width = motion.shape[:2]
    if (height, width) == size:
        return motion
    right, down = split(np.asarray(cv2.resize(motion, size[::-1]), np.float32))
    return merge([right * (size[1] / width), down * (size[0] / height)])
