"""Kept shadows against scenes of which the shadow is known."""

import numpy as np
import pytest

from rmbg_service.evaluation.scenes import Scene, make_scene
from rmbg_service.evaluation.scenes.grounds import FLOORS
from rmbg_service.evaluation.scenes.scene import LIGHTS
from rmbg_service.imaging.cutout import Shadow
from rmbg_service.shadows.cast import keep_shadow

PLAIN = ("smooth", "gradient", "sweep")


def scenes(light: str, floors: tuple[str, ...], count: int) -> list[Scene]:
    """The first scenes of one light on some floors."""
    every = [list(FLOORS)[i % len(FLOORS)] in floors for i in range(210)]
    numbers = [i for i in range(LIGHTS.index(light), 210, len(LIGHTS)) if every[i]]
    return [make_scene(i) for i in numbers[:count]]


def compared(scene: Scene) -> tuple[float, float, float]:
    """Mean absolute error, precision and recall at 10 % outside the subject."""
    shadow = keep_shadow(scene.rgb, scene.alpha)
    assert shadow.alpha is not None, scene.id
    assert scene.shadow is not None
    free = scene.alpha < 26
    seen, true = shadow.alpha[free] / 255, scene.shadow[free] / 255
    both = int(np.count_nonzero((seen > 0.1) & (true > 0.1)))
    return (
        float(np.abs(seen - true).mean()),
        both / max(1, int(np.count_nonzero(seen > 0.1))),
        both / max(1, int(np.count_nonzero(true > 0.1))),
    )


@pytest.mark.parametrize("light", ["hard", "soft"])
def test_the_shadow_on_a_plain_floor_is_found(light: str) -> None:
    errors, precisions, recalls = zip(
        *(compared(scene) for scene in scenes(light, PLAIN, 3)), strict=True
    )
    assert max(errors) < 0.02
    assert np.mean(precisions) > 0.9
    assert np.mean(recalls) > 0.7


def test_hard_shadows_on_floorboards_are_found_and_none_is_made_up() -> None:
    kept = [keep_shadow(s.rgb, s.alpha) for s in scenes("hard", ("wood",), 6)]
    assert sum(shadow.found for shadow in kept) >= 3
    for scene in scenes("none", ("wood", "tiled"), 6):
        assert not keep_shadow(scene.rgb, scene.alpha).found, scene.id


def test_on_its_own_floor_the_layer_gives_the_picture_back() -> None:
    rgb = np.full((200, 300, 3), (200, 180, 150), np.uint8)
    rgb[120:150, 150:230] = (120, 108, 90)
    rgb[40:150, 120:150] = (30, 60, 160)
    alpha = np.zeros((200, 300), np.uint8)
    alpha[40:150, 120:150] = 255
    shadow = keep_shadow(rgb, alpha)
    assert shadow.alpha is not None
    lit = np.array([200, 180, 150])
    put_back = lit * (1 - shadow.alpha[..., None] / 255)
    inside = slice(124, 146), slice(158, 224)
    assert np.abs(put_back[inside] - rgb[inside]).max() < 4
    assert shadow.density == pytest.approx(0.4, abs=0.03)
    assert shadow.confidence > 0.9


def test_there_is_no_shadow_where_there_is_none() -> None:
    found = [keep_shadow(s.rgb, s.alpha).found for s in scenes("none", (*PLAIN, "noisy"), 6)]
    assert not any(found)


def _on_grey(colour: tuple[int, int, int]) -> Shadow:
    """What is made of a patch of `colour` beside the foot of a box on grey."""
    rgb = np.full((200, 300, 3), 180, np.uint8)
    rgb[120:150, 150:230] = colour
    rgb[40:150, 120:150] = (30, 60, 160)
    alpha = np.zeros((200, 300), np.uint8)
    alpha[40:150, 120:150] = 255
    return keep_shadow(rgb, alpha)


def test_a_dark_thing_of_another_colour_is_no_shadow() -> None:
    assert _on_grey((110, 110, 112)).found
    assert not _on_grey((140, 60, 60)).found
    assert not _on_grey((60, 60, 140)).found


def test_a_black_thing_beside_the_subject_is_no_shadow() -> None:
    assert not _on_grey((20, 20, 20)).found


def test_a_patch_that_does_not_touch_the_foot_is_no_shadow() -> None:
    rgb = np.full((200, 300, 3), 180, np.uint8)
    rgb[120:150, 200:270] = 110
    rgb[40:150, 120:150] = (30, 60, 160)
    alpha = np.zeros((200, 300), np.uint8)
    alpha[40:150, 120:150] = 255
    assert keep_shadow(rgb, alpha).reason == "no-shadow"


def test_a_chequered_floor_is_refused() -> None:
    y, x = np.mgrid[0:200, 0:300]
    rgb = np.where((y // 20 + x // 20)[..., None] % 2, 220, 60).astype(np.uint8)
    rgb = np.repeat(rgb, 3, axis=2)
    rgb[40:150, 120:150] = (30, 60, 160)
    alpha = np.zeros((200, 300), np.uint8)
    alpha[40:150, 120:150] = 255
    shadow = keep_shadow(rgb, alpha)
    assert shadow.reason in ("textured-floor", "no-floor")
    assert shadow.alpha is None


def test_a_subject_that_fills_the_picture_leaves_no_floor() -> None:
    rgb = np.full((60, 80, 3), 120, np.uint8)
    assert keep_shadow(rgb, np.full((60, 80), 255, np.uint8)).reason == "no-floor"
    assert keep_shadow(rgb, np.zeros((60, 80), np.uint8)).reason == "no-subject"


@pytest.mark.parametrize("size", [(9, 13), (1, 400), (400, 1), (37, 1031)])
def test_any_size_is_answered(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    alpha = np.zeros(size, np.uint8)
    alpha[: size[0] // 2 + 1, : size[1] // 2 + 1] = 255
    shadow = keep_shadow(rgb, alpha)
    assert shadow.alpha is None or shadow.alpha.shape == size
