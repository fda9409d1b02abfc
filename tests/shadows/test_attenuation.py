"""What counts as a shadow on a floor whose texture is known."""

import numpy as np
import pytest

from rmbg_service.shadows.attenuation import Attenuation, find_attenuation
from rmbg_service.shadows.texture import FloorTexture
from rmbg_service.types import Matte
from tests.shadows.box_on_floor import SIZE, contact_area

TOUCHING = (slice(125, 165), slice(100, 230))


def found(
    depth: Matte, strength: float = 0.02, tint: tuple[float, float, float] = (1, 1, 1)
) -> Attenuation | str:
    contact = contact_area()
    attenuation = (depth[..., None] * np.array(tint, np.float32)).astype(np.float32)
    ones = np.ones(SIZE, np.float32)
    texture = FloorTexture(attenuation, depth, strength, 1.0, ones, ~contact.covered)
    return find_attenuation(texture, contact)


def shaded(by: float = 0.6) -> Matte:
    depth = np.zeros(SIZE, np.float32)
    depth[TOUCHING] = by
    return depth


def test_what_is_darker_and_touches_the_foot_is_a_shadow() -> None:
    attenuation = found(shaded())
    assert isinstance(attenuation, Attenuation)
    assert attenuation.shadow[155, 200]
    assert not attenuation.shadow[180].any()
    assert attenuation.share[155, 200] == pytest.approx(1)


@pytest.mark.parametrize(
    ("depth", "strength", "tint", "reason"),
    [
        (shaded(), np.inf, (1, 1, 1), "no-floor"),
        (shaded(), 0.5, (1, 1, 1), "textured-floor"),
        (shaded(0.05), 0.02, (1, 1, 1), "no-shadow"),
        (shaded(), 0.02, (0.4, 1.6, 1), "no-shadow"),  # turns magenta
        (np.full(SIZE, 0.6, np.float32), 0.02, (1, 1, 1), "too-large"),
    ],
)
def test_what_is_not_a_shadow_has_a_reason(
    depth: Matte, strength: float, tint: tuple[float, float, float], reason: str
) -> None:
    assert found(depth, strength, tint) == reason
