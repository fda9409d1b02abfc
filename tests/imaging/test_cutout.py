from dataclasses import replace

import numpy as np
import pytest

from rmbg_service.imaging.cutout import Cutout, Shadow, box_of
from rmbg_service.types import Box


def cutout() -> Cutout:
    """A square of 20 x 20 px at (30, 10), with a faint pixel beside it."""
    alpha = np.zeros((80, 100), np.uint8)
    alpha[10:30, 30:50] = 255
    alpha[5, 5] = 3
    return Cutout(np.full((80, 100, 3), 90, np.uint8), alpha)


def shaded() -> Cutout:
    layer = np.zeros((80, 100), np.uint8)
    layer[25:35, 50:90] = 128
    layer[35:40, 50:90] = 5
    return replace(cutout(), shadow=Shadow("keep", layer))


def test_boxes_begin_at_their_thresholds() -> None:
    assert cutout().box == cutout().extent == Box(30, 10, 50, 30)
    assert cutout().visible == Box(5, 5, 50, 30)
    assert shaded().extent == Box(30, 10, 90, 35)
    assert shaded().visible == Box(5, 5, 90, 40)
    assert box_of(np.zeros((4, 4), np.uint8), 1) is None


def test_subject_and_shadow_become_one_layer() -> None:
    flat = shaded().with_shadow()
    assert flat.shadow is None
    assert flat.rgb[30, 70].tolist() == [0, 0, 0]
    assert flat.alpha[30, 70] == 128
    assert flat.rgb[20, 40].tolist() == [90, 90, 90]


def test_a_shadow_is_found_unless_there_is_a_reason() -> None:
    assert Shadow("drop").found
    assert not Shadow("keep", reason="no-floor").found


@pytest.mark.parametrize("size", [(1, 3), (200, 1)])
def test_rows_are_the_same_as_the_whole(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    whole = Cutout(
        rng.integers(0, 256, (*size, 3), np.uint8),
        rng.integers(0, 256, size, np.uint8),
        shadow=Shadow("drop", rng.integers(0, 256, size, np.uint8)),
    )
    rgb, alpha = whole.rows_with_shadow(slice(0, size[0]))
    flat = whole.with_shadow()
    assert (flat.rgb == rgb).all()
    assert (flat.alpha == alpha).all()


def test_a_pillow_image_is_of_pixels_and_holds_the_profile_but_not_the_background() -> None:
    rgb = np.full((2, 3, 3), 90, np.uint8)
    alpha = np.array([[0, 128, 255]] * 2, np.uint8)
    image = Cutout(rgb, alpha, b"a profile").to_pil()
    assert (image.mode, image.size, image.info) == ("RGBA", (3, 2), {"icc_profile": b"a profile"})
    assert np.asarray(image)[0].tolist() == [[0, 0, 0, 0], [90, 90, 90, 128], [90, 90, 90, 255]]
    assert Cutout(rgb, alpha).to_pil().info == {}
