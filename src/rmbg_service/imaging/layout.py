"""Where an image comes to lie on the canvas of its result: arithmetic, without pixels."""

import math
from dataclasses import dataclass

from rmbg_service.types import Box, Canvas, Margin, Position

_TOLERANCE = 1e-6
_CENTRE = Position(0.5, 0.5)


@dataclass(frozen=True)
class Layout:
    """A canvas of `width` x `height` px and the image on it.

    `factor` is the size of the image's pixels on the canvas; (`x`, `y`) is where its upper left
    corner lies, in px of the canvas. `fill` is the part of the canvas that the subject and its
    shadow fill in the direction in which they fill most, 0 without a subject. `limited` says that
    they fill less than was asked for, because they may not be enlarged.
    """

    width: int
    height: int
    factor: float = 1.0
    x: float = 0.0
    y: float = 0.0
    fill: float = 0.0
    limited: bool = False


@dataclass(frozen=True)
class Frame:
    """What canvas a result must have, and how the subject is placed on it.

    `canvas` is None for the image's own size. `scale` in (0, 1] is the part of the canvas that
    the subject fills in the direction in which it fills most, None keeps its size relative to the
    image. `position` None is the centre with `scale`, and where it was without. Without
    `upscale` nothing is enlarged: a canvas in px then shrinks until a side has `min_side` px, and
    the subject fills less of it.
    """

    canvas: Canvas | None = None
    scale: float | None = None
    position: Position | None = None
    upscale: bool = False
    min_side: int | None = None


def frame_layout(frame: Frame, size: tuple[int, int], box: Box | None, max_pixels: int) -> Layout:
    """The layout of an image of `size` px on the canvas that `frame` asks for.

    `box` is that of the subject and its shadow, None without a subject: then the whole image is
    shown. A canvas that is given as a ratio has at most `max_pixels`.
    """
    scale = None if box is None else frame.scale
    if frame.canvas is not None and frame.canvas.relative:
        width, height, factor = _smallest(frame.canvas, scale, size, box, max_pixels)
        limited = False
    else:
        width, height = _fixed(frame, size)
        factor = wanted = _fitting(scale, (width, height), size, box)
        if factor > 1 and not frame.upscale:
            if scale is not None and frame.min_side is not None:
                shrink = max(1 / factor, min(1.0, frame.min_side / min(width, height)))
                width, height = round(width * shrink), round(height * shrink)
                wanted = _fitting(scale, (width, height), size, box)
            factor = min(1.0, wanted)
        limited = scale is not None and factor < wanted - _TOLERANCE
    x, y = (width - size[0] * factor) / 2, (height - size[1] * factor) / 2
    fill = 0.0
    if box is not None:
        fill = max(box.width * factor / width, box.height * factor / height)
        if frame.scale is not None or frame.position is not None:
            across, down = frame.position or _CENTRE
            x = (width - box.width * factor) * across - box.left * factor
            y = (height - box.height * factor) * down - box.top * factor
    return Layout(width, height, factor, x, y, fill, limited)


def _fixed(frame: Frame, size: tuple[int, int]) -> tuple[int, int]:
    return size if frame.canvas is None else (int(frame.canvas.width), int(frame.canvas.height))


def _fitting(
    scale: float | None, canvas: tuple[int, int], size: tuple[int, int], box: Box | None
) -> float:
    """The factor at which the box fills `scale` of the canvas, or the image all of it."""
    if scale is None or box is None:
        return min(canvas[0] / size[0], canvas[1] / size[1])
    return scale * min(canvas[0] / box.width, canvas[1] / box.height)


def _smallest(
    ratio: Canvas, scale: float | None, size: tuple[int, int], box: Box | None, max_pixels: int
) -> tuple[int, int, float]:
    """The smallest canvas of this ratio that the subject or the image fits, and the factor."""
    width, height = (
        size if scale is None or box is None else (box.width / scale, box.height / scale)
    )
    shape = ratio.width / ratio.height
    width = max(width, height * shape)
    factor = fitting_factor(width, width / shape, max_pixels)
    wide = max(1, math.floor(width * factor + 0.5 + _TOLERANCE))
    high = max(1, math.floor(wide / shape + 0.5))
    if wide * high > max_pixels:
        wide, high = scaled(wide, high, fitting_factor(wide, high, max_pixels), max_pixels)
    return wide, high, factor


def crop_layout(box: Box, margin: Margin, max_pixels: int) -> Layout:
    """The layout that shows `box` and a margin around it, shrunk to at most `max_pixels`."""
    around = _around(box.width, box.height, margin)
    width, height = with_margin(box.width, box.height, margin)
    factor = fitting_factor(width, height, max_pixels)
    size = scaled(width, height, factor, max_pixels)
    fill = max(box.width / width, box.height / height)
    x, y = (around.left - box.left) * factor, (around.top - box.top) * factor
    return Layout(*size, factor, x, y, fill)


def with_margin(width: int, height: int, margin: Margin) -> tuple[int, int]:
    """`(width, height)` of a box with a margin around it."""
    around = _around(width, height, margin)
    return around.left + width + around.right, around.top + height + around.bottom


def _around(width: int, height: int, margin: Margin) -> Box:
    """The margin's four widths in px."""
    top, right, bottom, left = (
        round(length.px(side)) for length, side in zip(margin, (height, width) * 2, strict=True)
    )
    return Box(left, top, right, bottom)


def fit(width: int, height: int, max_pixels: int) -> tuple[int, int]:
    """The largest `(width, height)` of this shape with at most `max_pixels`."""
    return scaled(width, height, fitting_factor(width, height, max_pixels), max_pixels)


def fitting_factor(width: float, height: float, max_pixels: int) -> float:
    """What to multiply both sides with, at most 1, so that they enclose `max_pixels`."""
    return math.sqrt(min(max_pixels, width * height) / (width * height))


def scaled(
    width: int, height: int, factor: float, max_pixels: int | None = None
) -> tuple[int, int]:
    """Both sides times `factor`, if that is below 1, and with at most `max_pixels`."""
    if factor >= 1:
        return width, height
    width, height = (max(1, math.floor(side * factor + 1e-6)) for side in (width, height))
    if max_pixels is not None:  # a side of one pixel cannot shrink with the other one
        width = max(1, min(width, max_pixels // height))
        height = min(height, max_pixels // width)
    return width, height
