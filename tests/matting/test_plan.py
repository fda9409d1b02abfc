import numpy as np
import pytest

from rmbg_service.matting.augmentation import View
from rmbg_service.matting.crops import subject_box
from rmbg_service.matting.plan import UNLIMITED, DetailPlan, TimeBudget, plan_detail
from rmbg_service.types import Matte

INPUT = (320, 320)


def rectangle(top: int, left: int, bottom: int, right: int, side: int = 320) -> Matte:
    """A subject with a rim the network was not sure of."""
    matte = np.zeros((side, side), np.float32)
    matte[top - 1 : bottom + 1, left - 1 : right + 1] = 0.5
    matte[top:bottom, left:right] = 1
    return matte


def disc(radius: float, softness: float, side: int = 320) -> Matte:
    """A round subject, a little left of the middle, with a soft rim."""
    y, x = np.mgrid[:side, :side]
    distance = np.hypot(x - 0.45 * side, y - 0.5 * side)
    return np.asarray(np.clip((radius - distance) / softness + 0.5, 0, 1), np.float32)


def test_what_each_detail_plans() -> None:
    small, size = rectangle(128, 128, 192, 192), (1500, 1500)
    filling, empty = rectangle(60, 60, 260, 260), np.zeros(INPUT, np.float32)
    box = subject_box(small, size)
    mirrored = View(mirrored=True)
    assert plan_detail("off", small, size, INPUT) == DetailPlan([], "plain")
    assert plan_detail("guided", small, size, INPUT) == DetailPlan([], "guided")
    assert plan_detail("crop", small, size, INPUT) == DetailPlan([View(box)], "guided")
    twice = [View(box), View(box, mirrored=True)]
    assert plan_detail("auto", small, size, INPUT) == DetailPlan(twice, "guided")
    assert plan_detail("auto", filling, size, INPUT) == DetailPlan([mirrored], "guided")
    assert plan_detail("auto", empty, size, INPUT) == DetailPlan([], "guided")


def test_what_auto_and_best_plan_for_large_networks() -> None:
    small, size, large_input = rectangle(140, 140, 180, 180), (2500, 2500), (1024, 1024)
    sure = np.floor(rectangle(70, 70, 250, 250))
    unsure = np.maximum(sure, rectangle(70, 40, 250, 70) * np.float32(0.4))
    box, mirrored = subject_box(small, size), View(mirrored=True)
    slow = TimeBudget(prediction_s=2)

    def auto(matte: Matte, budget: TimeBudget) -> DetailPlan:
        return plan_detail("auto", matte, size, large_input, budget)

    assert auto(small, slow) == DetailPlan([View(box)], "selective")
    assert auto(sure, UNLIMITED) == DetailPlan([], "selective")
    assert auto(unsure, slow) == DetailPlan([], "selective")
    assert auto(unsure, TimeBudget(0.1)) == DetailPlan([mirrored], "selective")
    every = [mirrored, View(box), View(box, mirrored=True)]
    assert plan_detail("best", small, size, large_input) == DetailPlan(every, "selective")
    assert plan_detail("best", small, size, INPUT) == DetailPlan(every, "guided")
    nothing = np.zeros(INPUT, np.float32)
    assert plan_detail("best", nothing, size, INPUT) == DetailPlan([], "guided")


@pytest.mark.parametrize(("left_s", "views"), [(0, 0), (3.9, 0), (4, 1), (8, 2), (100, 2)])
def test_auto_plans_views_that_fit_into_half_of_the_time_left(left_s: float, views: int) -> None:
    small, size = rectangle(128, 128, 192, 192), (1500, 1500)
    plan = plan_detail("auto", small, size, INPUT, TimeBudget(2, left_s))
    assert len(plan.views) == views
    assert len(plan_detail("best", small, size, INPUT, TimeBudget(2, left_s)).views) == 3


@pytest.mark.parametrize(
    ("radius", "views", "share"),
    [  # it fills the picture, half of it, little of it
        (150, ["mirrored picture"], 1.0),
        (80, ["mirrored picture", "box"], 0.75),
        (20, ["box", "mirrored box"], 1.0),
    ],
)
def test_small_networks_get_further_views(radius: float, views: list[str], share: float) -> None:
    plan = plan_detail("auto", disc(radius, 4), (1500, 1500), INPUT)
    told = [
        f"{'mirrored ' * view.mirrored}{'picture' if view.box is None else 'box'}"
        for view in plan.views
    ]
    assert told == views
    assert plan.refinement == "guided"
    assert plan.box_share == pytest.approx(share, abs=0.01)
