import numpy as np
import pytest

from rmbg_service.shadows.floor import fit_floor
from rmbg_service.types import Matte, Planes

WEIGHT: Matte = np.ones((80, 120), np.float32)


def sloping_floor() -> Planes:
    """Logarithms of light that fall by 1 from left to right."""
    slope = np.linspace(0, -1, 120, dtype=np.float32)
    return np.asarray(np.broadcast_to(slope[None, :, None], (80, 120, 3)), np.float32)


def test_a_shadow_does_not_pull_the_floor_down() -> None:
    seen = sloping_floor().copy()
    seen[20:60, 30:80] -= 0.8
    floor = fit_floor(seen, WEIGHT)
    assert floor is not None
    assert floor.log_light == pytest.approx(sloping_floor(), abs=0.05)
    assert not floor.lit[25:55, 35:75].any()
    assert floor.lit[:15].mean() > 0.9
    assert floor.share > 0.95


def test_a_wall_of_another_colour_is_left_out() -> None:
    seen = sloping_floor().copy()
    seen[:25] = (-2.0, -0.5, -0.2)
    floor = fit_floor(seen, WEIGHT)
    assert floor is not None
    assert floor.log_light[30:] == pytest.approx(sloping_floor()[30:], abs=0.05)
    assert not floor.lit[:25].any()


def test_too_little_to_see_gives_no_floor() -> None:
    weight = np.zeros_like(WEIGHT)
    weight[:2, :2] = 1
    assert fit_floor(sloping_floor(), weight) is None
