import pytest

from rmbg_service.imaging.layout import Frame, Layout, crop_layout, frame_layout
from rmbg_service.types import Box, Canvas, Length, Margin, Position

MANY = 10**9
PHOTO = (4000, 3000)
TALL = Box(1000, 500, 2000, 2500)  # 1000 x 2000 px


def laid(frame: Frame, box: Box | None = TALL, most: int = MANY) -> Layout:
    return frame_layout(frame, PHOTO, box, most)


def on_canvas(layout: Layout, box: Box = TALL) -> tuple[float, float, float, float]:
    """Where the box lies on the canvas."""
    left, top = layout.x + box.left * layout.factor, layout.y + box.top * layout.factor
    return left, top, left + box.width * layout.factor, top + box.height * layout.factor


def test_without_a_frame_nothing_moves() -> None:
    assert laid(Frame()) == Layout(4000, 3000, fill=2 / 3)


@pytest.mark.parametrize("canvas", [Canvas(2000, 2000), Canvas(800, 1200), Canvas(1080, 1350)])
@pytest.mark.parametrize("scale", [0.5, 0.85, 1.0])
def test_the_subject_fills_its_part_of_a_canvas_in_px(canvas: Canvas, scale: float) -> None:
    layout = laid(Frame(canvas, scale))
    assert (layout.width, layout.height) == canvas[:2]
    assert layout.fill == pytest.approx(scale)
    left, top, right, bottom = on_canvas(layout)
    assert left == pytest.approx(layout.width - right)
    assert top == pytest.approx(layout.height - bottom)
    assert max((right - left) / canvas.width, (bottom - top) / canvas.height) == pytest.approx(
        scale
    )


def test_a_subject_is_not_enlarged_unless_that_is_asked_for() -> None:
    small = Box(1000, 500, 1100, 700)
    kept = laid(Frame(Canvas(2000, 2000), 0.8), small)
    assert (kept.width, kept.factor, kept.fill, kept.limited) == (2000, 1.0, 0.1, True)
    enlarged = laid(Frame(Canvas(2000, 2000), 0.8, upscale=True), small)
    assert (enlarged.factor, enlarged.limited) == (8.0, False)
    assert enlarged.fill == pytest.approx(0.8)


def test_the_canvas_shrinks_before_the_subject_is_too_small_for_it() -> None:
    frame = Frame(Canvas(2000, 1000), 0.8, min_side=500)
    half = laid(frame, Box(0, 0, 100, 600))
    assert (half.width, half.height) == (1500, 750)
    assert (half.factor, half.limited) == (1.0, False)
    assert half.fill == pytest.approx(0.8)
    tiny = laid(frame, Box(0, 0, 100, 200))
    assert (tiny.width, tiny.height) == (1000, 500)
    assert (tiny.factor, tiny.fill, tiny.limited) == (1.0, 0.4, True)
    never_larger = laid(Frame(Canvas(200, 100), 0.8, min_side=500), TALL)
    assert (never_larger.width, never_larger.height) == (200, 100)


def test_a_ratio_holds_the_whole_photo() -> None:
    square = laid(Frame(Canvas(1, 1, relative=True)))
    assert (square.width, square.height, square.factor) == (4000, 4000, 1.0)
    assert (square.x, square.y) == (0, 500)
    upright = laid(Frame(Canvas(4, 5, relative=True)))
    assert (upright.width, upright.height) == (4000, 5000)


def test_a_ratio_with_a_scale_is_as_small_as_the_subject_allows() -> None:
    layout = laid(Frame(Canvas(1, 1, relative=True), 0.8))
    assert (layout.width, layout.height, layout.factor) == (2500, 2500, 1.0)
    assert layout.fill == pytest.approx(0.8)
    assert not layout.limited


@pytest.mark.parametrize("ratio", [(1, 1), (4, 5), (1.91, 1), (1, 20)])
def test_a_ratio_is_bounded_in_pixels(ratio: tuple[float, float]) -> None:
    layout = laid(Frame(Canvas(*ratio, relative=True), 0.1), most=1_000_000)
    assert 900_000 < layout.width * layout.height <= 1_000_000
    assert layout.width / layout.height == pytest.approx(ratio[0] / ratio[1], rel=0.01)
    assert layout.fill == pytest.approx(0.1, rel=0.01)


def test_without_a_scale_a_canvas_in_px_holds_the_whole_photo() -> None:
    layout = laid(Frame(Canvas(1000, 1000)))
    assert (layout.factor, layout.x, layout.y) == (0.25, 0, 125)
    large = laid(Frame(Canvas(8000, 8000)))
    assert (large.factor, large.x, large.y, large.limited) == (1, 2000, 2500, False)
    assert laid(Frame(Canvas(8000, 8000), upscale=True)).factor == 2


def test_the_position_is_that_of_the_subject() -> None:
    corner = laid(Frame(Canvas(3000, 3000), 0.5, Position(1, 0)))
    assert on_canvas(corner) == pytest.approx((2250, 0, 3000, 1500))


@pytest.mark.parametrize("scale", [None, 0.3])
def test_without_a_subject_the_photo_is_shown(scale: float | None) -> None:
    layout = laid(Frame(Canvas(1000, 500), scale), None)
    assert (layout.width, layout.height, layout.fill) == (1000, 500, 0)
    assert layout.factor == pytest.approx(500 / 3000)


def test_a_crop_is_the_box_and_its_margin() -> None:
    margin = Margin(Length(10), Length(20), Length(30), Length(40))
    layout = crop_layout(TALL, margin, MANY)
    assert (layout.width, layout.height, layout.factor) == (1060, 2040, 1.0)
    assert on_canvas(layout) == (40, 10, 1040, 2010)
    small = crop_layout(TALL, margin, 500_000)
    assert small.width * small.height <= 500_000
    assert small.factor == pytest.approx((500_000 / (1060 * 2040)) ** 0.5)
