import numpy as np
import pytest

from rmbg_service.shadows.contact import find_contact_area
from rmbg_service.shadows.floor import Floor
from rmbg_service.shadows.texture import SMOOTHING_PX, FloorTexture, measure_texture
from rmbg_service.types import Planes

SIZE = (200, 300)


def texture(dark: Planes) -> FloorTexture:
    """Of a box that stands on a flat floor, which is `dark` `(h, w, 3)` darker than lit."""
    matte = np.zeros(SIZE, np.float32)
    matte[60:140, 130:170] = 1
    contact = find_contact_area(matte)
    assert contact is not None
    flat = np.zeros((*SIZE, 3), np.float32)
    lit = np.abs(dark).max(axis=2) < 0.2
    return measure_texture(flat - dark, Floor(flat, lit, 0.02, 1.0), contact)


def test_what_lies_to_one_side_is_no_texture() -> None:
    dark = np.zeros((*SIZE, 3), np.float32)
    dark[120:160, 170:240] = 0.8
    found = texture(dark)
    assert found.strength == pytest.approx(0.01)
    assert found.depth[130:150, 180:230] == pytest.approx(0.8, abs=0.02)


def test_grain_is_smoothed_and_stains_all_around_are_texture() -> None:
    rng = np.random.default_rng(0)
    grain = rng.normal(0, 0.15, (*SIZE, 1)).astype(np.float32)
    found = texture(np.repeat(grain, 3, axis=2))
    assert found.blur > SMOOTHING_PX[0]
    assert found.strength < 0.08
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    stains = (0.5 * ((y // 20 + x // 20) % 2)).astype(np.float32)
    assert texture(np.repeat(stains[..., None], 3, axis=2)).strength > 0.3


def test_no_floor_has_no_texture() -> None:
    assert np.isinf(texture(np.full((*SIZE, 3), 3, np.float32)).strength)
