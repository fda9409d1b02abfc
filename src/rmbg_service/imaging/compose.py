"""Geometry and backgrounds of a cutout: crop, place, limit its size, put it on a background."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from rmbg_service.imaging.colour import rgb_from_srgb
from rmbg_service.imaging.cutout import Cutout, Shadow
from rmbg_service.imaging.tiling import bands
from rmbg_service.types import Box, Colour, Margin, Position

WHITE = Colour(255, 255, 255)
_Level = TypeVar("_Level", np.uint8, np.uint16)


def crop(cutout: Cutout, margin: Margin, max_pixels: int) -> Cutout:
    """Cut to the box of the subject and its shadow, and a margin around it.

    The margin may lie outside the picture. A result above `max_pixels` is shrunk before its margins
    are added. Without a subject the cutout stays as it is.
    """
    box = cutout.extent
    if box is None:
        return cutout
    around = _around(box.width, box.height, margin)
    factor = _fitting_factor(*crop_size(cutout, margin), max_pixels)
    if factor < 1:
        cutout = _shrink(cutout, factor)
        left, top, width, height = (
            math.floor(side * factor) for side in (box.left, box.top, box.width, box.height)
        )
        box = Box(left, top, left + max(1, width), top + max(1, height))
        around = Box(*(math.floor(side * factor) for side in around))
    return _window(
        cutout,
        Box(
            box.left - around.left,
            box.top - around.top,
            box.right + around.right,
            box.bottom + around.bottom,
        ),
    )


def crop_size(cutout: Cutout, margin: Margin) -> tuple[int, int]:
    """`(width, height)` of the box of the subject and its shadow with `margin` around it."""
    box = cutout.extent
    if box is None:
        return cutout.size
    return with_margin(box.width, box.height, margin)


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


def place(cutout: Cutout, scale: float | None, position: Position | None) -> Cutout:
    """Move the subject with its shadow on its canvas, which keeps its size.

    `scale` in (0, 1] is the part of the canvas that the box of both fills in the direction in
    which it fills most; None keeps its size. A `position` of None is the centre. Without a subject
    the cutout stays as it is.
    """
    box = cutout.extent
    if box is None:
        return cutout
    width, height = cutout.size
    factor = 1.0 if scale is None else scale * min(width / box.width, height / box.height)
    x, y = position or (0.5, 0.5)
    left, top = (width - box.width * factor) * x, (height - box.height * factor) * y
    seen = cutout.visible or box  # the faint end of a shadow lies outside its box
    drawn = Box(  # of what is seen, that which comes to lie on the canvas
        max(seen.left, math.floor(box.left - left / factor)),
        max(seen.top, math.floor(box.top - top / factor)),
        min(seen.right, math.ceil(box.left + (width - left) / factor)),
        min(seen.bottom, math.ceil(box.top + (height - top) / factor)),
    )
    from_left = round((box.left - drawn.left) * factor - left)
    from_top = round((box.top - drawn.top) * factor - top)
    canvas = Box(from_left, from_top, from_left + width, from_top + height)
    subject = _window(cutout, drawn)
    if scale is None:
        return _window(subject, canvas)
    size = max(1, round(drawn.width * factor)), max(1, round(drawn.height * factor))
    return _resize(subject, *size, canvas)


def limit_side(cutout: Cutout, max_side: int) -> Cutout:
    """Shrink so that the longer side has at most `max_side` px; never enlarge."""
    return _shrink(cutout, max_side / max(cutout.size))


def limit_pixels(cutout: Cutout, max_pixels: int) -> Cutout:
    """Shrink so that the picture has at most `max_pixels`; never enlarge."""
    return _shrink(cutout, _fitting_factor(*cutout.size, max_pixels), max_pixels)


def fit(width: int, height: int, max_pixels: int) -> tuple[int, int]:
    """The largest `(width, height)` of this shape with at most `max_pixels`."""
    return _scaled(width, height, _fitting_factor(width, height, max_pixels), max_pixels)


def _fitting_factor(width: int, height: int, max_pixels: int) -> float:
    return min(1.0, math.sqrt(max_pixels / (width * height)))


def _shrink(cutout: Cutout, factor: float, max_pixels: int | None = None) -> Cutout:
    size = _scaled(*cutout.size, factor, max_pixels)
    return cutout if size == cutout.size else _resize(cutout, *size)


def _scaled(width: int, height: int, factor: float, max_pixels: int | None) -> tuple[int, int]:
    if factor >= 1:
        return width, height
    width, height = (max(1, math.floor(side * factor + 1e-6)) for side in (width, height))
    if max_pixels is not None:  # a side of one pixel cannot shrink with the other one
        width = max(1, min(width, max_pixels // height))
        height = min(height, max_pixels // width)
    return width, height


def paste_back(cutout: Cutout, region: Box, width: int, height: int) -> Cutout:
    """The cutout of a region pasted back into its picture of `width` x `height` px."""
    left, top = region.left, region.top
    shadow = cutout.shadow
    if shadow is not None and shadow.box is not None:
        box = shadow.box
        moved = Box(box.left + left, box.top + top, box.right + left, box.bottom + top)
        cutout = replace(cutout, shadow=replace(shadow, box=moved))
    return _window(cutout, Box(-left, -top, width - left, height - top))


def on_colour(cutout: Cutout, colour: Colour) -> Cutout:
    """The cutout and its shadow over a plain colour in sRGB, which may be transparent itself."""
    rgb = np.array([[colour[:3]]], np.uint8)
    if cutout.icc is not None:
        rgb = rgb_from_srgb(rgb, cutout.icc)
    shape = cutout.rgb.shape
    return _over(cutout, np.broadcast_to(rgb, shape), colour.alpha)


def on_picture(cutout: Cutout, background: NDArray[np.uint8]) -> Cutout:
    """The cutout and its shadow over an sRGB picture `(h, w, 3)`, which covers the canvas."""
    fitted = np.asarray(ImageOps.fit(Image.fromarray(background), cutout.size))
    if cutout.icc is not None:
        fitted = rgb_from_srgb(fitted, cutout.icc)
    return _over(cutout, fitted, 255)


def _over(cutout: Cutout, background: NDArray[np.uint8], background_alpha: int) -> Cutout:
    """Porter and Duff's `over` (SIGGRAPH 1984), in straight alpha, band by band."""
    rgb = np.empty_like(cutout.rgb)
    alpha = np.empty_like(cutout.alpha)
    under = background_alpha / 255.0
    for rows in bands(alpha.shape):
        colours, opaque = cutout.rows_with_shadow(rows)
        above = opaque[..., None].astype(np.float32) / 255.0
        below = (1.0 - above) * under
        total = above + below
        mixed = colours * above + background[rows] * below
        rgb[rows] = (mixed / np.maximum(total, 1e-6) + 0.5).astype(np.uint8)
        alpha[rows] = (total[..., 0] * 255.0 + 0.5).astype(np.uint8)
    return replace(cutout, rgb=rgb, alpha=alpha, shadow=None)


def _window(cutout: Cutout, box: Box) -> Cutout:
    """The part of the cutout inside `box`; what lies outside the picture is transparent."""
    return replace(
        cutout,
        rgb=_cut(cutout.rgb, box),
        alpha=_cut(cutout.alpha, box),
        shadow=_changed(cutout.shadow, lambda alpha: _cut(alpha, box)),
    )


def _cut(plane: NDArray[_Level], box: Box) -> NDArray[_Level]:
    height, width = plane.shape[:2]
    inside = Box(max(box.left, 0), max(box.top, 0), min(box.right, width), min(box.bottom, height))
    part = plane[inside.top : inside.bottom, inside.left : inside.right]
    if inside == box:
        return part
    padding = (
        inside.top - box.top,
        box.bottom - inside.bottom,
        inside.left - box.left,
        box.right - inside.right,
    )
    return np.asarray(cv2.copyMakeBorder(part, *padding, cv2.BORDER_CONSTANT), plane.dtype)


def _changed(
    shadow: Shadow | None, change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> Shadow | None:
    if shadow is None or shadow.alpha is None:
        return shadow
    return replace(shadow, alpha=change(shadow.alpha))


def _resize(cutout: Cutout, width: int, height: int, canvas: Box | None = None) -> Cutout:
    """Resize through premultiplied alpha, so that hidden colours do not bleed into the edge.

    Of the resized picture `canvas` is kept, or all of it. A channel at a time, in 16 bits: that
    holds 255 x 255, and needs little memory.
    """

    how = cv2.INTER_AREA if width <= cutout.size[0] else cv2.INTER_CUBIC

    def resized(plane: NDArray[_Level]) -> NDArray[_Level]:
        whole = np.asarray(cv2.resize(plane, (width, height), interpolation=how), plane.dtype)
        return whole if canvas is None else np.ascontiguousarray(_cut(whole, canvas))

    weight = resized(cutout.alpha.astype(np.uint16) * np.uint16(255))
    rgb = np.empty((*weight.shape, 3), np.uint8)
    for channel in range(3):
        product = cv2.multiply(cutout.rgb[..., channel], cutout.alpha, dtype=cv2.CV_16U)
        colour = resized(np.asarray(product, np.uint16))
        rgb[..., channel] = cv2.divide(colour, weight, scale=255.0, dtype=cv2.CV_8U)
    return replace(
        cutout,
        rgb=rgb,
        alpha=cv2.convertScaleAbs(weight, alpha=1 / 255.0).astype(np.uint8, copy=False),
        shadow=_changed(cutout.shadow, resized),
    )
