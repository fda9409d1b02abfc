import itertools

import numpy as np
import pytest

from rmbg_service.evaluation.scenes import make_scene, make_scenes
from rmbg_service.evaluation.scenes.grounds import FLOORS
from rmbg_service.evaluation.scenes.noise import Plane
from rmbg_service.evaluation.scenes.scene import LIGHTS
from rmbg_service.evaluation.scenes.shadows import Sun, attenuation
from rmbg_service.evaluation.scenes.subjects import SUBJECTS

SMALL = (240, 320)


def test_a_scene_is_the_same_every_time_and_another_with_another_seed() -> None:
    first, again, other = (make_scene(3, seed, SMALL) for seed in (0, 0, 1))
    assert np.array_equal(first.rgb, again.rgb)
    assert np.array_equal(first.alpha, again.alpha)
    assert not np.array_equal(first.rgb, other.rgb)


def test_seven_scenes_show_every_floor_subject_and_light() -> None:
    tags = set(itertools.chain.from_iterable(make_scene(i, 0, SMALL).tags for i in range(7)))
    lights = {"no-shadow" if light == "none" else light for light in LIGHTS}
    assert set(FLOORS) | set(SUBJECTS) | lights | {"low-contrast", "hair", "holes"} <= tags


@pytest.mark.parametrize("index", range(7))
def test_arrays_fit_together(index: int) -> None:
    scene = make_scene(index, 0, SMALL)
    assert scene.rgb.shape == (*SMALL, 3)
    assert scene.alpha.shape == SMALL
    assert scene.rgb.dtype == scene.alpha.dtype == np.uint8
    assert 0.01 < (scene.alpha > 127).mean() < 0.6
    assert ((scene.alpha > 0) & (scene.alpha < 255)).any()
    assert (scene.shadow is not None) == ("shadow" in scene.tags)
    if scene.shadow is not None:
        assert scene.shadow.max() > 25
        assert not scene.shadow[scene.alpha == 255].any()


def test_glass_has_an_alpha_between() -> None:
    scene = make_scene(4, 0, SMALL)
    assert "translucent" in scene.tags
    assert ((scene.alpha > 40) & (scene.alpha < 215)).sum() > 0.4 * (scene.alpha > 40).sum()


def test_ids_are_unique() -> None:
    ids = [scene.id for scene in itertools.islice(make_scenes(8), 8)]
    assert len(set(ids)) == len(ids)


def _post() -> Plane:
    alpha = np.zeros((100, 200), np.float32)
    alpha[40:80, 98:102] = 1
    return alpha


def test_the_sun_throws_the_shadow_to_its_side() -> None:
    left = attenuation(_post(), 80, 10, Sun(0.5, 0.5, 0, (0.6, 0.5, 0.4), 0))
    # A point 20 px up lands 10 px to the right and 10 px up the picture.
    assert left[70, 110] == pytest.approx([0.4, 0.5, 0.6], abs=0.02)
    assert left[70, 90] == pytest.approx([1, 1, 1])
    assert left[90:].min() == 1


def test_a_soft_shadow_is_sharp_at_the_foot_and_wide_at_the_top() -> None:
    def width(row: int) -> int:
        left = attenuation(_post(), 80, 10, Sun(0.0, 0.5, 0.3, (0.6, 0.6, 0.6), 0))
        return int((left[row, :, 0] < 0.99).sum())

    assert width(78) < width(70) < width(62)


def test_the_shadow_climbs_the_wall() -> None:
    left = attenuation(_post(), 80, 75, Sun(0.0, 0.5, 0, (0.6, 0.6, 0.6), 0))
    # 10 px of the post lie on the floor, the other 30 stand on the wall.
    shaded = np.nonzero(left[:, 100, 0] < 0.7)[0]
    assert shaded.min() == pytest.approx(45, abs=2)


def test_the_contact_shadow_stays_at_the_foot() -> None:
    left = attenuation(_post(), 80, 10, Sun(0, 0.5, 0, (0, 0, 0), 0.5))
    assert left[79, 100, 0] == pytest.approx(0.5, abs=0.1)
    assert left[50].min() > 0.99
