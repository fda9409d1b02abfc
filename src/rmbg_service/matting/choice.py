"""What `detail` means for one picture: which boxes get a second pass, and how the matte grows.

`auto` was decided by measurement, see the documentation on quality. Small networks leave mattes so
soft that the guided filter helps on every kind of picture; a precise matte of a large network is
only made worse by it. A second pass pays where the subject is small in a large picture; elsewhere
it gains as often as it loses, because the network sees less of the surroundings.
"""

from typing import Literal, NamedTuple

from rmbg_service.imaging.box import Box
from rmbg_service.matting.arrays import Alpha, Picture
from rmbg_service.matting.crops import plan_crops
from rmbg_service.matting.detail import refine, upsample
from rmbg_service.models.predictor import Matte

Detail = Literal["auto", "off", "guided", "crop"]

SMALL_NETWORK_PX = 512
"""Networks up to this input size leave mattes that the guided filter improves."""

AUTO_LEAST_GAIN = 1.5
"""`auto` runs a second pass when it shows the network this much more detail."""


class DetailPlan(NamedTuple):
    """`boxes` go through the network again; `guided` says how the matte is brought to full size."""

    boxes: list[Box]
    guided: bool


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
            return DetailPlan(plan_crops(matte, size, input_size), guided=small_network)
        case "auto":
            boxes = plan_crops(matte, size, input_size, least_gain=AUTO_LEAST_GAIN, tiles=False)
            return DetailPlan(boxes, guided=small_network)


def to_full_size(rgb: Picture, matte: Matte, guided: bool) -> Alpha:
    """The alpha of the whole picture from the first or blended matte."""
    return refine(rgb, matte) if guided else upsample(matte, rgb.shape[:2])
