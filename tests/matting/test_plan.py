import numpy as np
import pytest

from rmbg_service.matting.augmentation import View
from rmbg_service.matting.crops import subject_box
from rmbg_service.matting.plan import DetailPlan, plan_detail
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
    assert plan_detail("off", small, size, INPUT) == DetailPlan([], guided=False)
    assert plan_detail("guided", small, size, INPUT) == DetailPlan([], guided=True)
    assert plan_detail("crop", small, size, INPUT) == DetailPlan([View(box)], guided=True)
    twice = [View(box), View(box, mirrored=True)]
    assert plan_detail("auto", small, size, INPUT) == DetailPlan(twice, guided=True)
    assert plan_detail("auto", filling, size, INPUT) == DetailPlan([mirrored], guided=True)
    assert plan_detail("auto", empty, size, INPUT) == DetailPlan([], guided=True)


def test_large_networks_get_a_box_of_small_subjects_only() -> None:
    small, size, large_input = rectangle(140, 140, 180, 180), (2500, 2500), (1024, 1024)
    large = rectangle(70, 70, 250, 250)
    box = subject_box(small, size)
    assert plan_detail("auto", small, size, large_input) == DetailPlan([View(box)], guided=False)
    assert plan_detail("auto", large, size, large_input) == DetailPlan([], guided=False)


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
    assert plan.guided
    assert plan.box_share == pytest.approx(share, abs=0.01)
