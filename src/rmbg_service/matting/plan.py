"""What the option `detail` means for one image: further views, and how the matte grows.

A small network leaves mattes so soft that the guided filter helps on every edge. A large one draws
some edges as well as they can be drawn and others loosely, so the filter works only where there is
evidence for it. Small networks are also quick: `auto` shows them the mirrored image and, if that
holds more detail, the subject's box. Large ones get the box of a subject that is small in a large
image and, on a fast device, the mirrored image. `best` asks for every view, however long that
takes. `matting` sees what `auto` does. See docs/quality.md for the measurements.
"""

import math
from typing import Literal, NamedTuple

from rmbg_service.matting.augmentation import View
from rmbg_service.matting.crops import UNSURE, detail_gain, plan_crops, subject_box
from rmbg_service.matting.upsampling import Refinement
from rmbg_service.types import Matte

Detail = Literal["auto", "off", "guided", "crop", "best", "matting"]

SMALL_NETWORK_PX = 512
"""Networks up to this input size leave mattes that the guided filter improves everywhere."""

FULL_GAIN = 1.5
"""A box that shows a network this much more detail counts alone; one with less counts with a share
that falls to one half for a box without any gain."""


QUICK_PREDICTION_S = 0.5
"""`auto` shows a large network the mirrored image only if a prediction is as quick as this, which
is a matter of GPUs."""

MIN_UNSURE_SHARE = 0.005
"""And only if the network is unsure of this share of the image: else there is nothing to gain."""


class TimeBudget(NamedTuple):
    """How long one prediction takes, with its wait in a queue, and how long there is for all."""

    prediction_s: float = 0.0
    left_s: float = math.inf

    @property
    def predictions(self) -> float:
        """How many fit into half of the time; the rest is for what follows them."""
        return self.left_s / 2 / self.prediction_s if self.prediction_s else math.inf


UNLIMITED = TimeBudget()


class DetailPlan(NamedTuple):
    """The views the network is shown besides the whole image, and what is made of their mattes.

    `refinement` says how the matte is brought to full size. `box_share` in [0.5, 1] is how much the
    boxes among the `views` count; see `combine_views`.
    """

    views: list[View]
    refinement: Refinement
    box_share: float = 1.0


def plan_detail(
    detail: Detail,
    matte: Matte,
    size: tuple[int, int],
    input_size: tuple[int, int],
    budget: TimeBudget = UNLIMITED,
) -> DetailPlan:
    """Plan for the matte of the full view, the image's `(height, width)` and the input size.

    `auto` plans views that fit into the `budget`, and so does `matting`, whose network then takes
    the place of the refinement. The other details plan what they mean.
    """
    small_network = max(input_size) <= SMALL_NETWORK_PX
    refinement: Refinement = "guided" if small_network else "selective"
    match detail:
        case "off":
            return DetailPlan([], "plain")
        case "guided":
            return DetailPlan([], "guided")
        case "crop":
            boxes = plan_crops(matte, size, input_size)
            return DetailPlan([View(box) for box in boxes], refinement)
        case "best":
            return _every_view(matte, size, input_size, refinement)
        case "auto" | "matting" if small_network:
            plan = _plan_for_small_network(matte, size, input_size)
        case "auto" | "matting":
            quick = budget.prediction_s <= QUICK_PREDICTION_S
            plan = _plan_for_large_network(matte, size, input_size, quick)
    views = [view for place, view in enumerate(plan.views, 1) if place <= budget.predictions]
    return plan._replace(views=views)


def _plan_for_small_network(
    matte: Matte, size: tuple[int, int], input_size: tuple[int, int]
) -> DetailPlan:
    """The mirrored image and the subject's box; both views of the box if it counts alone."""
    if subject_box(matte, size) is None:
        return DetailPlan([], "guided")
    boxes = plan_crops(matte, size, input_size, split=False)
    if not boxes:
        return DetailPlan([View(mirrored=True)], "guided")
    (box,) = boxes
    gain = detail_gain(box, size, input_size)
    if gain >= FULL_GAIN:
        return DetailPlan([View(box), View(box, mirrored=True)], "guided")
    return DetailPlan([View(mirrored=True), View(box)], "guided", _share(gain))


def _plan_for_large_network(
    matte: Matte, size: tuple[int, int], input_size: tuple[int, int], quick: bool
) -> DetailPlan:
    """The box of a small subject, or the mirrored image if the network is quick and unsure."""
    boxes = plan_crops(matte, size, input_size, least_gain=FULL_GAIN, split=False)
    views = [View(box) for box in boxes]
    unsure = float(((matte > UNSURE) & (matte < 1 - UNSURE)).mean())
    if not boxes and quick and unsure >= MIN_UNSURE_SHARE:
        views = [View(mirrored=True)]
    return DetailPlan(views, "selective")


def _every_view(
    matte: Matte, size: tuple[int, int], input_size: tuple[int, int], refinement: Refinement
) -> DetailPlan:
    """The mirrored image and all boxes, each also mirrored."""
    if subject_box(matte, size) is None:
        return DetailPlan([], refinement)
    boxes = plan_crops(matte, size, input_size)
    views = [View(mirrored=True)]
    views += [View(box, mirrored) for box in boxes for mirrored in (False, True)]
    gain = min((detail_gain(box, size, input_size) for box in boxes), default=FULL_GAIN)
    return DetailPlan(views, refinement, _share(gain))


def _share(gain: float) -> float:
    """How much a box counts that shows `gain` times more detail."""
    return min(1.0, 0.5 + (gain - 1) / (2 * (FULL_GAIN - 1)))
