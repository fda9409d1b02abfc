"""What `detail` means for one picture: what the network sees again, and how the matte grows.

`auto` was decided by measurement, see the documentation on quality. Small networks leave mattes so
soft that the guided filter helps on every kind of picture; a precise matte of a large network is
only made worse by it. Small networks are also quick, so that `auto` shows them the mirrored
picture too, and the subject's box where that holds more detail. Alone, such a box gains as often as
it loses, because the network sees less of the surroundings, unless the subject is small in a large
picture; the larger it is, the more the whole picture counts.
"""

from typing import Literal, NamedTuple

from rmbg_service.matting.crops import detail_gain, plan_crops, subject_box
from rmbg_service.matting.upsampling import refine, upsample
from rmbg_service.matting.views import View
from rmbg_service.types import Alpha, Matte, RgbImage

Detail = Literal["auto", "off", "guided", "crop"]

SMALL_NETWORK_PX = 512
"""Networks up to this input size leave mattes that the guided filter improves."""

FULL_GAIN = 1.5
"""A box that shows a network this much more detail counts alone where it is seen. `auto` shows
other boxes to small networks only, with a share that falls to one half where nothing is gained."""


class DetailPlan(NamedTuple):
    """What the network is shown besides the whole picture, and what is made of it.

    `guided` says how the matte is brought to full size, `box_share` in [0.5, 1] how much the boxes
    among the `views` count; see `views.join`.
    """

    views: list[View]
    guided: bool
    box_share: float = 1.0


def plan_detail(
    detail: Detail, matte: Matte, size: tuple[int, int], input_size: tuple[int, int]
) -> DetailPlan:
    """Plan for a first matte, the picture's `(height, width)` and the network's input size."""
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
            return _several_looks(matte, size, input_size)
        case "auto":
            boxes = plan_crops(matte, size, input_size, least_gain=FULL_GAIN, tiles=False)
            return DetailPlan([View(box) for box in boxes], guided=False)


def _several_looks(matte: Matte, size: tuple[int, int], input_size: tuple[int, int]) -> DetailPlan:
    """A mirrored look and one at the subject's box; both at the box where that counts alone."""
    if subject_box(matte, size) is None:
        return DetailPlan([], guided=True)
    for box in plan_crops(matte, size, input_size, tiles=False):
        gain = detail_gain(box, size, input_size)
        if gain >= FULL_GAIN:
            return DetailPlan([View(box), View(box, mirrored=True)], guided=True)
        share = 0.5 + (gain - 1) / (2 * (FULL_GAIN - 1))
        return DetailPlan([View(mirrored=True), View(box)], guided=True, box_share=share)
    return DetailPlan([View(mirrored=True)], guided=True)


def to_full_size(rgb: RgbImage, matte: Matte, guided: bool) -> Alpha:
    """The alpha of the whole picture from the first or blended matte."""
    return refine(rgb, matte) if guided else upsample(matte, rgb.shape[:2])
