"""The confidence in a shadow, each of the four ratios by itself."""

import cv2
import numpy as np

from rmbg_service.shadows.confidence import shadow_confidence
from rmbg_service.shadows.texture import FloorTexture
from rmbg_service.types import BoolMask, Matte
from tests.shadows.box_on_floor import SIZE, contact_area

SHADOW = (slice(125, 165), slice(100, 230))


def judged(depth: Matte, strength: float = 0.1, shadow: BoolMask | None = None) -> float:
    """The confidence in what is darker than 0.2, or in `shadow` of it."""
    contact = contact_area()
    floor = ~contact.covered
    attenuation = np.repeat(depth[..., None], 3, axis=2)
    dark = (depth > 0.2) & floor
    texture = FloorTexture(attenuation, depth, strength, 1.0, np.ones(SIZE, np.float32), floor)
    shadow = dark if shadow is None else shadow & dark
    return shadow_confidence(shadow, dark, texture, contact)


def rough() -> Matte:
    """A floor of soft clouds."""
    noise = np.random.default_rng(0).standard_normal(SIZE).astype(np.float32)
    clouds = np.asarray(cv2.GaussianBlur(noise, (0, 0), 8), np.float32)
    return np.asarray(clouds * np.float32(0.06 / clouds.std()), np.float32)


def shaded(by: float) -> Matte:
    depth = rough()
    depth[SHADOW] += np.float32(by)
    return depth


def test_a_deep_steep_part_around_the_foot_is_a_shadow() -> None:
    assert judged(shaded(0.8)) > 0.9


def test_the_deeper_in_units_of_the_texture_the_surer() -> None:
    assert judged(shaded(0.8), strength=0.1) > judged(shaded(0.8), strength=0.3) + 0.005


def test_a_dark_cloud_without_a_steep_border_is_doubted() -> None:
    cloud = np.zeros(SIZE, np.float32)
    cloud[SHADOW] = 1
    soft = np.asarray(cv2.GaussianBlur(cloud, (0, 0), 25), np.float32)
    assert judged(rough() + soft * np.float32(0.5 / soft.max())) < judged(shaded(0.5)) - 0.1


def test_what_touches_the_foot_in_a_point_is_doubted() -> None:
    stick = rough()
    stick[126:132, 172:240] += 0.8
    assert judged(stick) < judged(shaded(0.8)) - 0.2


def test_other_dark_things_on_the_floor_make_doubt() -> None:
    alone = shaded(0.4)
    stained = alone.copy()
    stained[100:190, 20:70] += 1.5
    mine = np.zeros(SIZE, bool)
    mine[:, 90:240] = True
    assert judged(stained, shadow=mine) < judged(alone, shadow=mine) - 0.02
