"""What the option `detail` means for one picture: further views, and how the matte grows.

A small network leaves mattes so soft that the guided filter helps on every kind of picture; the
precise matte of a large network only gets worse by it. Small networks are also quick, so `auto`
shows them the mirrored picture too, and the subject's box if that holds more detail. Such a box
shows less of the surroundings. It counts alone only if the subject is small in a large picture; the
larger the subject, the more the whole picture counts. See docs/quality.md for the measurements.
"""

from typing import Literal, NamedTuple

from rmbg_service.matting.augmentation import View
from rmbg_service.matting.crops import detail_gain, plan_crops, subject_box
from rmbg_service.types import Matte

Detail = Literal["auto", "off", "guided", "crop"]

SMALL_NETWORK_PX = 512
"""Networks up to this input size leave mattes that the guided filter improves."""

FULL_GAIN = 1.5
"""A box that shows a network this much more detail counts alone. `auto` shows other boxes to small
networks only, with a share that falls to one half for a box without any gain."""


class DetailPlan(NamedTuple):
    """The views the network is shown besides the whole picture, and what is made of their mattes.

    `guided` says whether a guided filter brings the matte to full size. `box_share` in [0.5, 1] is
    how much the boxes among the `views` count; see `combine_views`.
    """

    views: list[View]
    guided: bool
    box_share: float = 1.0


def plan_detail(
    detail: Detail, matte: Matte, size: tuple[int, int], input_size: tuple[int, int]
) -> DetailPlan:
    """Plan for the matte of the full view, the picture's `(height, width)` and the input size."""
    small_network = max(input_size) <= SMALL_NETWORK_PX
    match detail:
        case "off":
            return DetailPlan([], guided=False)
        case "guided":
            return DetailPlan([], guided=True)
        case "crop":
            boxes = plan_crops(matte, size, input_size)
            return DetailPlan([View(box) for box in boxes], guided=small_network)
        case "auto" if small_network:
            return _plan_for_small_network(matte, size, input_size)
        case "auto":
            boxes = plan_crops(matte, size, input_size, least_gain=FULL_GAIN, split=False)
            return DetailPlan([View(box) for box in boxes], guided=False)


def _plan_for_small_network(
    matte: Matte, size: tuple[int, int], input_size: tuple[int, int]
) -> DetailPlan:
    """The mirrored picture and the subject's box; both views of the box if it counts alone."""
    if subject_box(matte, size) is None:
        return DetailPlan([], guided=True)
    boxes = plan_crops(matte, size, input_size, split=False)
    if not boxes:
        return DetailPlan([View(mirrored=True)], guided=True)
    (box,) = boxes
    gain = detail_gain(box, size, input_size)
    if gain >= FULL_GAIN:
        return DetailPlan([View(box), View(box, mirrored=True)], guided=True)
    share = 0.5 + (gain - 1) / (2 * (FULL_GAIN - 1))
    return DetailPlan([View(mirrored=True), View(box)], guided=True, box_share=share)
