import numpy as np
import pytest

from rmbg_service.imaging.compose import draw_shadow
from rmbg_service.imaging.cutout import Cutout, Shadow
from rmbg_service.imaging.layout import Layout
from rmbg_service.shadows.painted import drop_shadow, with_shadow
from rmbg_service.types import Alpha, Box


def post() -> Alpha:
    """A post of 20 x 200 px that stands on row 300 of a canvas of 400 x 600."""
    alpha = np.zeros((400, 600), np.uint8)
    alpha[100:300, 290:310] = 255
    return alpha


def layer(shadow: Shadow) -> Alpha:
    """The shadow as it lies on the post's own canvas."""
    on_canvas = Cutout(np.zeros((400, 600, 3), np.uint8), post(), shadow=shadow)
    alpha = draw_shadow(on_canvas, Layout(600, 400)).shadow_alpha
    assert alpha is not None
    return alpha


@pytest.mark.parametrize(("angle", "darker"), [(60, "right"), (-60, "left")])
def test_it_falls_to_the_side_that_is_asked_for(angle: float, darker: str) -> None:
    shadow = layer(drop_shadow(post(), angle, 0.5))
    left, right = shadow[:, :280].sum(dtype=int), shadow[:, 320:].sum(dtype=int)
    assert (right > 10 * left) if darker == "right" else (left > 10 * right)


def test_it_falls_behind_or_in_front() -> None:
    behind, before = layer(drop_shadow(post(), 30, 0.2)), layer(drop_shadow(post(), 150, 0.2))
    assert behind[:280].sum(dtype=int) > 5 * behind[320:].sum(dtype=int)
    assert before[320:].sum(dtype=int) > 5 * before[:280].sum(dtype=int)


def test_the_floor_is_darkest_under_the_foot() -> None:
    shadow = layer(drop_shadow(post(), 60, 0.5))
    assert shadow[298:302, 285:315].max() > shadow[:, 330:].max() + 10
    assert shadow[:290, 330:].max() > 40


def test_softness_softens_the_edge() -> None:
    def steepest(softness: float) -> int:
        return int(
            np.abs(np.diff(layer(drop_shadow(post(), 90, softness)).astype(int), axis=0)).max()
        )

    def far(softness: float) -> int:
        shadow = layer(drop_shadow(post(), 60, softness))
        return int(np.abs(np.diff(shadow[:, 350:].astype(int), axis=0)).max())

    assert far(1.0) < 0.6 * far(0.0)
    assert steepest(1.0) <= steepest(0.0)


def test_box_and_density_are_told() -> None:
    shadow = drop_shadow(post(), 60, 0.3)
    assert shadow.kind == "drop"
    assert shadow.found
    assert shadow.box is not None
    assert shadow.box.right > 360
    dense = layer(shadow)[layer(shadow) >= 26]
    assert shadow.density == pytest.approx(dense.mean() / 255, abs=5e-3)
    assert isinstance(shadow.box, Box)


def test_without_a_subject_there_is_none() -> None:
    shadow = drop_shadow(np.zeros((40, 60), np.uint8), 60, 0.5)
    assert not shadow.found
    assert shadow.reason == "no-subject"


@pytest.mark.parametrize("size", [(1, 1), (50, 50), (700, 1000), (3, 40_000), (40_000, 3)])
@pytest.mark.parametrize("angle", [-135, 0, 90, 180])
@pytest.mark.parametrize("softness", [0, 1])
def test_no_shadow_reaches_beyond_the_bound(
    size: tuple[int, int], angle: float, softness: float
) -> None:
    """A job reserves memory for that much."""
    width, height = size
    alpha = np.full((height, width), 255, np.uint8)
    extent = Cutout(np.zeros((height, width, 3), np.uint8), alpha).box
    shadow = drop_shadow(alpha, angle, softness)
    assert extent is not None
    if shadow.box is not None:
        extent = extent.union(shadow.box)
    most = with_shadow(width, height, angle, softness)
    assert extent.width <= most[0]
    assert extent.height <= most[1]
