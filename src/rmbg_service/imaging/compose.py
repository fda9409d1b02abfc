"""Pixels of a cutout: draw it on a canvas, limit its size, put it on a background."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from rmbg_service.imaging.colour import rgb_from_srgb
from rmbg_service.imaging.cutout import Backdrop, Cutout, Shadow
from rmbg_service.imaging.layout import Layout, fitting_factor, scaled
from rmbg_service.imaging.tiling import bands
from rmbg_service.types import Box, Colour

WHITE = Colour(255, 255, 255)
_Level = TypeVar("_Level", np.uint8, np.uint16)


def draw(cutout: Cutout, layout: Layout) -> Cutout:
    """The cutout on the canvas of `layout`; what lies outside the image is transparent.

    The subject's own shadow moves with it, in a layer of its own. A painted one is drawn here, also
    beyond the image. Without a change of size the pixels stay as they are. Only what comes to lie
    on the canvas is resized; that may be nothing, if the subject is thinner than a pixel of it.
    """
    width, height, factor = layout.width, layout.height, layout.factor
    seen = cutout.visible or Box(0, 0, *cutout.size)  # the faint end of a shadow is beyond its box
    left = max(seen.left, math.floor(-layout.x / factor))
    top = max(seen.top, math.floor(-layout.y / factor))
    right = min(seen.right, math.ceil((width - layout.x) / factor))
    bottom = min(seen.bottom, math.ceil((height - layout.y) / factor))
    drawn = Box(left, top, max(left, right), max(top, bottom))
    corner = round(-layout.x - drawn.left * factor), round(-layout.y - drawn.top * factor)
    canvas = Box(*corner, corner[0] + width, corner[1] + height)
    subject = _window(cutout, drawn)
    if factor == 1 or 0 in subject.size:
        laid = _window(subject, canvas)
    else:
        size = max(1, round(drawn.width * factor)), max(1, round(drawn.height * factor))
        laid = _resize(subject, *size, canvas)
    return draw_shadow(laid, layout)


def draw_shadow(cutout: Cutout, layout: Layout) -> Cutout:
    """The cutout, which lies on the canvas of `layout`, with its painted shadow as pixels."""
    shadow = cutout.shadow
    if shadow is None or shadow.painted is None:
        return cutout
    painted = shadow.painted
    zoom = painted.step * layout.factor
    height, width = (max(1, round(side * zoom)) for side in painted.alpha.shape)
    how = cv2.INTER_LINEAR if zoom >= 1 else cv2.INTER_AREA
    whole = cv2.resize(painted.alpha, (width, height), interpolation=how)
    left = round(-layout.x - painted.left * layout.factor)
    top = round(-layout.y - painted.top * layout.factor)
    canvas = Box(left, top, left + layout.width, top + layout.height)
    alpha = np.ascontiguousarray(_cut(np.asarray(whole, np.uint8), canvas))
    return replace(cutout, shadow=replace(shadow, alpha=alpha, painted=None))


def limit_side(cutout: Cutout, max_side: int) -> Cutout:
    """Shrink so that the longer side has at most `max_side` px; never enlarge."""
    return _shrink(cutout, max_side / max(cutout.size))


def limit_pixels(cutout: Cutout, max_pixels: int) -> Cutout:
    """Shrink so that the image has at most `max_pixels`; never enlarge."""
    return _shrink(cutout, fitting_factor(*cutout.size, max_pixels), max_pixels)


def _shrink(cutout: Cutout, factor: float, max_pixels: int | None = None) -> Cutout:
    size = scaled(*cutout.size, factor, max_pixels)
    return cutout if size == cutout.size else _resize(cutout, *size)


def paste_back(cutout: Cutout, region: Box, width: int, height: int) -> Cutout:
    """The cutout of a region pasted back into its image of `width` x `height` px."""
    left, top = region.left, region.top
    shadow = cutout.shadow
    if shadow is not None and shadow.box is not None:
        box = shadow.box
        moved = Box(box.left + left, box.top + top, box.right + left, box.bottom + top)
        cutout = replace(cutout, shadow=replace(shadow, box=moved))
    return _window(cutout, Box(-left, -top, width - left, height - top))


def on_colour(cutout: Cutout, colour: Colour) -> Cutout:
    """The cutout over its shadow over a plain colour in sRGB: one layer, without a shadow.

    If the colour is transparent itself, so is the result where there is no subject or shadow.
    """
    return over(cutout, plain_backdrop(cutout, colour))


def plain_backdrop(cutout: Cutout, colour: Colour) -> Backdrop:
    """A plain colour in sRGB as the background of a cutout."""
    rgb = np.array([[colour[:3]]], np.uint8)
    if cutout.icc is not None:
        rgb = rgb_from_srgb(rgb, cutout.icc)
    return Backdrop(np.broadcast_to(rgb, cutout.rgb.shape), colour.alpha)


def image_backdrop(cutout: Cutout, background: NDArray[np.uint8]) -> Backdrop:
    """An sRGB image `(h, w, 3)` as the background of a cutout: it covers the canvas."""
    fitted = np.asarray(ImageOps.fit(Image.fromarray(background), cutout.size))
    if cutout.icc is not None:
        fitted = rgb_from_srgb(fitted, cutout.icc)
    return Backdrop(fitted, 255)


def over(cutout: Cutout, backdrop: Backdrop) -> Cutout:
    """The cutout and its shadow over a background: one layer.

    Porter and Duff's `over` (SIGGRAPH 1984), in straight alpha, band by band.
    """
    rgb = np.empty_like(cutout.rgb)
    alpha = np.empty_like(cutout.alpha)
    under = backdrop.alpha / 255.0
    for rows in bands(alpha.shape):
        colours, opaque = cutout.rows_with_shadow(rows)
        above = opaque[..., None].astype(np.float32) / 255.0
        below = (1.0 - above) * under
        total = above + below
        mixed = colours * above + backdrop.rgb[rows] * below
        rgb[rows] = (mixed / np.maximum(total, 1e-6) + 0.5).astype(np.uint8)
        alpha[rows] = (total[..., 0] * 255.0 + 0.5).astype(np.uint8)
    return replace(cutout, rgb=rgb, alpha=alpha, shadow=None, backdrop=None)


def _window(cutout: Cutout, box: Box) -> Cutout:
    """The part of the cutout inside `box`; what lies outside the image is transparent."""
    return replace(
        cutout,
        rgb=_cut(cutout.rgb, box),
        alpha=_cut(cutout.alpha, box),
        shadow=_changed(cutout.shadow, lambda alpha: _cut(alpha, box)),
    )


def _cut(plane: NDArray[_Level], box: Box) -> NDArray[_Level]:
    """The part of `plane` inside `box`, and 0 where that lies beyond it."""
    height, width = plane.shape[:2]
    inside = Box(max(box.left, 0), max(box.top, 0), min(box.right, width), min(box.bottom, height))
    part = plane[inside.top : inside.bottom, inside.left : inside.right]
    if inside == box:
        return part
    if inside.width <= 0 or inside.height <= 0:
        return np.zeros((box.height, box.width, *plane.shape[2:]), plane.dtype)
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

    Of the resized image `canvas` is kept, or all of it. A channel at a time, in 16 bits: that
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
