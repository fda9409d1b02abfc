import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from rmbg_service.imaging import compose, layout
from rmbg_service.imaging.cutout import Cutout, Shadow
from rmbg_service.system.memory_budget import BYTES_PER_PIXEL
from rmbg_service.types import Box, Colour, Length, Margin, Position


def square(width: int = 100, height: int = 80) -> Cutout:
    """A grey square of 20 x 20 px at (30, 10), opaque, on nothing."""
    rgb = np.full((height, width, 3), (10, 200, 30), np.uint8)
    alpha = np.zeros((height, width), np.uint8)
    rgb[10:30, 30:50] = 200
    alpha[10:30, 30:50] = 255
    return Cutout(rgb, alpha)


MANY = 10**9
EMPTY = Cutout(np.zeros((8, 9, 3), np.uint8), np.zeros((8, 9), np.uint8))


def crop(cutout: Cutout, margin: Margin, max_pixels: int = MANY) -> Cutout:
    assert cutout.extent is not None
    return compose.draw(cutout, layout.crop_layout(cutout.extent, margin, max_pixels))


def crop_size(cutout: Cutout, margin: Margin) -> tuple[int, int]:
    assert cutout.extent is not None
    return layout.with_margin(cutout.extent.width, cutout.extent.height, margin)


def place(cutout: Cutout, scale: float | None, position: Position | None) -> Cutout:
    """The subject moved on its own canvas; by default to the centre."""
    frame = layout.Frame(None, scale, position or Position(0.5, 0.5), upscale=True)
    return compose.draw(cutout, layout.frame_layout(frame, cutout.size, cutout.extent, MANY))


def px(*sides: float) -> Margin:
    """A margin of one width, or of four."""
    return Margin(*(Length(side) for side in (sides * 4)[:4]))


def test_the_box_begins_at_five_per_cent() -> None:
    cutout = square()
    assert cutout.box == Box(30, 10, 50, 30)
    cutout.alpha[79, 99] = 12
    assert cutout.box == Box(30, 10, 50, 30)
    cutout.alpha[79, 99] = 13
    assert cutout.box == Box(30, 10, 100, 80)
    assert EMPTY.box is None


def test_crop_takes_the_box_and_its_margin() -> None:
    assert crop(square(), px(0)).size == (20, 20)
    assert crop(square(), px(5, 0, 1, 2)).size == (22, 26)
    half = crop(square(), Margin(*[Length(50, relative=True)] * 4))
    assert half.size == (40, 40)
    assert half.box == Box(10, 10, 30, 30)
    beyond = crop(square(), px(15, 0, 0, 0))  # 5 px above the picture
    assert beyond.size == (20, 35)
    assert beyond.box == Box(0, 15, 20, 35)


def test_place_moves_and_scales_on_the_same_canvas() -> None:
    assert place(square(), None, Position(0.0, 0.0)).box == Box(0, 0, 20, 20)
    assert place(square(), None, Position(1.0, 1.0)).box == Box(80, 60, 100, 80)
    assert place(square(), None, None).box == Box(40, 30, 60, 50)
    full = place(square(), 1.0, None)
    assert full.size == (100, 80)
    assert full.box == Box(10, 0, 90, 80)
    assert place(EMPTY, 0.5, None).size == EMPTY.size


@pytest.mark.parametrize("side", [1, 12, 60])
@pytest.mark.parametrize("position", [None, Position(0.0, 0.0), Position(0.3, 1.0)])
def test_what_lies_beyond_the_canvas_is_never_enlarged(
    side: int, position: Position | None
) -> None:
    """A haze too faint for the box, over the whole picture; the box grows to fill it."""
    alpha = np.full((600, 600), 12, np.uint8)
    alpha[100 : 100 + side, 400 : 400 + side] = 255
    cutout = Cutout(np.full((600, 600, 3), 120, np.uint8), alpha)
    tracemalloc.start()
    try:
        placed = place(cutout, 1.0, position)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert placed.size == (600, 600)
    assert peak < 2 * BYTES_PER_PIXEL * 600 * 600, "what a subject that is moved may take"


@pytest.mark.parametrize("haze", [0, 8])
@pytest.mark.parametrize("scale", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("position", [Position(0.5, 0.5), Position(0.0, 1.0), Position(0.3, 0.7)])
def test_a_haze_does_not_move_the_subject(haze: int, scale: float, position: Position) -> None:
    alpha = np.full((600, 500), haze, np.uint8)
    alpha[90:290, 101:224] = 255
    placed = place(Cutout(np.full((600, 500, 3), 9, np.uint8), alpha), scale, position)
    height = 600 * scale
    width = height * 123 / 200
    left, top = (500 - width) * position[0], (600 - height) * position[1]
    box = placed.box
    assert box is not None
    assert np.abs(np.subtract(box, (left, top, left + width, top + height))).max() <= 1.5


def test_shrinking_does_not_let_hidden_colours_into_the_edge() -> None:
    cutout = square(1000, 800)
    small = compose.limit_side(cutout, 500)
    assert small.size == (500, 400)
    visible = small.rgb[small.alpha > 30]
    assert np.abs(visible.astype(int) - 200).max() <= 6  # the hidden green is nowhere
    assert compose.limit_side(cutout, 1000) is cutout


def test_over_a_colour_soft_edges_mix_as_they_should() -> None:
    rgb = np.full((1, 3, 3), 200, np.uint8)
    cutout = Cutout(rgb, np.array([[0, 128, 255]], np.uint8))
    white = compose.on_colour(cutout, compose.WHITE)
    assert white.rgb[0, :, 0].tolist() == [255, 227, 200]
    assert (white.alpha == 255).all()
    half = compose.on_colour(cutout, Colour(0, 0, 0, 128))
    assert half.alpha[0].tolist() == [128, 192, 255]
    assert half.rgb[0, 2].tolist() == [200, 200, 200]
    assert abs(int(half.rgb[0, 1, 0]) - 200 * 128 / 192) <= 2


def test_a_background_picture_covers_the_canvas_from_its_centre() -> None:
    background = np.zeros((50, 200, 3), np.uint8)
    background[:, 100:] = 255
    result = compose.over(EMPTY, compose.image_backdrop(EMPTY, background))
    assert (result.alpha == 255).all()
    assert (result.rgb[:, :4] == 0).all()
    assert (result.rgb[:, 5:] == 255).all()


def shaded() -> Cutout:
    """The disc with a half-dense shadow of 40 x 10 px at (50, 25)."""
    layer = np.zeros((80, 100), np.uint8)
    layer[25:35, 50:90] = 128
    return replace(square(), shadow=Shadow("keep", layer))


def test_crop_keeps_the_shadow() -> None:
    cut = crop(shaded(), px(0))
    assert cut.size == (60, 25)
    assert cut.box == Box(0, 0, 20, 20)
    assert cut.extent == Box(0, 0, 60, 25)


def test_the_shadow_moves_and_shrinks_with_its_subject() -> None:
    moved = place(shaded(), None, Position(1.0, 1.0))
    assert moved.extent == Box(40, 55, 100, 80)
    assert moved.box == Box(40, 55, 60, 75)
    small = compose.limit_side(shaded(), 50)
    assert small.shadow_alpha is not None
    assert small.shadow_alpha.shape == small.alpha.shape == (40, 50)
    assert small.shadow_alpha[15, 40] == pytest.approx(128, abs=2)


def test_the_shadow_darkens_the_background_but_not_the_subject() -> None:
    on_white = compose.on_colour(shaded(), compose.WHITE)
    assert on_white.rgb[30, 70] == pytest.approx([127, 127, 127], abs=1)
    assert on_white.rgb[20, 40].tolist() == [200, 200, 200]
    assert on_white.alpha.min() == 255
    assert on_white.shadow is None


def test_one_layer_over_anything_is_the_same_as_two() -> None:
    """Straight alpha: compositing the flat cutout gives what compositing both layers gives."""
    rng = np.random.default_rng(1)
    cutout = Cutout(
        rng.integers(0, 256, (90, 40, 3)).astype(np.uint8),
        rng.integers(0, 256, (90, 40)).astype(np.uint8),
        shadow=Shadow("drop", rng.integers(0, 256, (90, 40)).astype(np.uint8)),
    )
    flat, behind = cutout.with_shadow(), np.array([40, 90, 200])
    assert cutout.shadow_alpha is not None
    a, s = cutout.alpha[..., None] / 255, cutout.shadow_alpha[..., None] / 255
    want = cutout.rgb * a + (1 - a) * (1 - s) * behind
    got = flat.rgb * (flat.alpha[..., None] / 255) + (1 - flat.alpha[..., None] / 255) * behind
    assert np.abs(got - want).max() < 1.6


def test_without_a_shadow_nothing_is_copied() -> None:
    assert square().with_shadow().alpha.any()
    plain = square()
    assert plain.with_shadow() is plain


def test_a_crop_with_wide_margins_is_shrunk_before_they_are_laid_on() -> None:
    margin = px(90, 40, 90, 40)
    assert crop_size(square(), margin) == (100, 200)
    cut = crop(square(), margin, 5000)
    assert cut.size == pytest.approx((50, 100), abs=1)
    assert cut.box is not None
    assert (cut.box.width, cut.box.height) == pytest.approx((10, 10), abs=1)
    assert (cut.box.left, cut.box.top) == pytest.approx((20, 45), abs=1)


@pytest.mark.parametrize("sides", [(0, 0, 0, 1000), (1000, 0, 0, 0), (0, 0, 1000, 0)])
def test_a_subject_thinner_than_a_pixel_may_come_to_lie_beside_the_canvas(
    sides: tuple[float, ...],
) -> None:
    shrunk = crop(square(), px(*sides), max_pixels=20)
    assert 1 in shrunk.size
    assert max(shrunk.size) == 20
    assert shrunk.rgb.shape[:2] == shrunk.alpha.shape
    assert shrunk.alpha.any() == (sides[2] > 0)


@pytest.mark.parametrize("size", [(300, 1), (1, 300), (40, 30), (31, 7)])
def test_pixels_are_limited_whatever_the_shape(size: tuple[int, int]) -> None:
    width, height = size
    cutout = Cutout(np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8))
    for most in (1, 10, 100, 1199):
        fitted = compose.limit_pixels(cutout, most).size
        assert 1 <= fitted[0] * fitted[1] <= most
        assert fitted == layout.fit(width, height, most)
        assert fitted[0] <= width


def test_a_limit_beyond_every_float_limits_nothing() -> None:
    cutout = square()
    assert compose.limit_pixels(cutout, 10**4000) is cutout
    assert layout.fit(100, 80, 10**4000) == (100, 80)


def test_resizing_keeps_the_colour_of_soft_pixels() -> None:
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[..., 0] = 200
    rgb[32:] = (0, 255, 0)  # hidden: its alpha is 0
    alpha = np.zeros((64, 64), np.uint8)
    alpha[:32] = np.linspace(1, 255, 64).astype(np.uint8)
    small = compose.limit_side(Cutout(rgb, alpha), 16)
    visible = small.alpha > 0
    assert visible.any()
    assert np.abs(small.rgb[visible].astype(int) - (200, 0, 0)).max() <= 1


def tailed() -> Cutout:
    """A square subject, and a shadow to its right that gets fainter to the last."""
    rgb, alpha = np.full((100, 200, 3), 80, np.uint8), np.zeros((100, 200), np.uint8)
    alpha[30:70, 20:60] = 255
    shadow = np.zeros((100, 200), np.uint8)
    shadow[50:70, 60:160] = np.linspace(90, 1, 100).astype(np.uint8)
    box = Box(60, 50, 130, 70)
    return Cutout(rgb, alpha, shadow=Shadow("drop", shadow, box, 0.2, 1.0))


@pytest.mark.parametrize("scale", [None, 0.3, 0.5])
def test_a_moved_shadow_keeps_its_faint_end(scale: float | None) -> None:
    placed = place(tailed(), scale, Position(0.0, 0.0))
    shadow = placed.shadow_alpha
    assert shadow is not None
    row = shadow[:, : np.flatnonzero(shadow.max(axis=0)).max() + 2].max(axis=0).astype(int)
    assert row[-1] == 0
    assert row[-2] <= 4, "it ends softly, not at the box of its denser part"
    assert placed.box is not None
    assert (placed.box.left, placed.box.top) == pytest.approx((0, 0), abs=1)


def test_a_crop_that_is_shrunk_keeps_its_margins() -> None:
    margin = px(40)
    cut = crop(tailed(), margin, 5000)
    width, height = crop_size(tailed(), margin)
    assert cut.size[0] * cut.size[1] <= 5000
    assert cut.size[0] / cut.size[1] == pytest.approx(width / height, rel=0.05)
    assert cut.box is not None
    assert cut.box.left == pytest.approx(40 * cut.size[0] / width, abs=2)
