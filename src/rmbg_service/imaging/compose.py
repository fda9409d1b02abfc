"""What is done with a cutout before it is encoded: crop, place, limit, put on a background."""

import math
import re
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps

from rmbg_service.imaging.box import Box
from rmbg_service.imaging.colour import rgb_from_srgb
from rmbg_service.imaging.cutout import Cutout, Shadow

Colour = tuple[int, int, int, int]
WHITE: Colour = (255, 255, 255, 255)
_BAND_ROWS = 64


def parse_colour(text: str) -> Colour:
    """RGBA of a CSS colour: a name, `#rgb`, `#rgba`, `#rrggbb`, `#rrggbbaa`, `rgb()` or `hsl()`.

    The `#` may be missing. Raises `ValueError` for anything else.
    """
    text = text.strip()
    if re.fullmatch(r"[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8}", text):
        text = f"#{text}"
    colour = ImageColor.getcolor(text, "RGBA")
    assert isinstance(colour, tuple)
    return colour  # type: ignore[return-value]


def parse_margin(text: str) -> tuple[float, float, float, float]:
    """Top, right, bottom, left of a CSS-like margin of 1, 2 or 4 values in `px` or `%`.

    Pixels are positive, per cents of the subject's box negative. Raises `ValueError`.
    """
    values = [_margin_value(part) for part in text.split()]
    if len(values) == 1:
        values *= 4
    elif len(values) == 2:
        values *= 2
    if len(values) != 4:
        raise ValueError("a margin has 1, 2 or 4 values")
    return values[0], values[1], values[2], values[3]


def _margin_value(text: str) -> float:
    match = re.fullmatch(r"(\d{1,5}(?:\.\d{1,3})?)(px|%|)", text)
    if match is None:
        raise ValueError(f"{text!r} is no margin; write 30px or 10%")
    value = float(match[1])
    if match[2] == "%":
        if value > 100:
            raise ValueError("a margin is at most 100%")
        return -value
    return value


def crop(cutout: Cutout, margin: tuple[float, float, float, float]) -> Cutout:
    """Cut to the box of the subject and its shadow, and a margin around it.

    The margin may lie outside the picture. Without a subject the cutout stays as it is.
    """
    box = cutout.extent
    if box is None:
        return cutout
    top, right, bottom, left = (
        round(value if value >= 0 else -value / 100 * side)
        for value, side in zip(margin, (box.height, box.width) * 2, strict=True)
    )
    return _window(
        cutout, Box(box.left - left, box.top - top, box.right + right, box.bottom + bottom)
    )


def place(cutout: Cutout, scale: float | None, position: tuple[float, float] | None) -> Cutout:
    """Move the subject with its shadow on its canvas, which keeps its size.

    `scale` in (0, 1] is the part of the canvas that the box of both fills in the direction in
    which it fills most; None leaves its size. `position` is `(x, y)` in [0, 1], 0 left and top, 1
    right and bottom, None the centre. Without a subject the cutout stays as it is.
    """
    box = cutout.extent
    if box is None:
        return cutout
    subject = _window(cutout, box)
    width, height = cutout.size
    if scale is not None:
        factor = scale * min(width / box.width, height / box.height)
        subject = _resize(
            subject, max(1, round(box.width * factor)), max(1, round(box.height * factor))
        )
    x, y = position or (0.5, 0.5)
    left = round((width - subject.size[0]) * x)
    top = round((height - subject.size[1]) * y)
    return _window(subject, Box(-left, -top, width - left, height - top))


def limit_side(cutout: Cutout, max_side: int) -> Cutout:
    """Shrink so that the longer side has at most `max_side` px; never enlarge."""
    factor = max_side / max(cutout.size)
    if factor >= 1:
        return cutout
    width, height = cutout.size
    return _resize(cutout, max(1, round(width * factor)), max(1, round(height * factor)))


def on_colour(cutout: Cutout, colour: Colour) -> Cutout:
    """The cutout and its shadow over a plain colour in sRGB, which may be transparent itself."""
    rgb = np.array([[colour[:3]]], np.uint8)
    if cutout.icc is not None:
        rgb = rgb_from_srgb(rgb, cutout.icc)
    shape = cutout.rgb.shape
    return _over(cutout, np.broadcast_to(rgb, shape), colour[3])


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
    for top in range(0, len(alpha), _BAND_ROWS):
        rows = slice(top, top + _BAND_ROWS)
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


def _cut(plane: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
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
    return cv2.copyMakeBorder(part, *padding, cv2.BORDER_CONSTANT).astype(np.uint8, copy=False)


def _changed(
    shadow: Shadow | None, change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> Shadow | None:
    if shadow is None or shadow.alpha is None:
        return shadow
    return replace(shadow, alpha=change(shadow.alpha))


def _resize(cutout: Cutout, width: int, height: int) -> Cutout:
    """Resize through premultiplied alpha, so that hidden colours do not bleed into the edge."""

    def resized(image: Image.Image) -> NDArray[np.uint8]:
        small = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
        return np.asarray(small)

    small = resized(Image.fromarray(np.dstack([cutout.rgb, cutout.alpha])))
    return replace(
        cutout,
        rgb=np.ascontiguousarray(small[..., :3]),
        alpha=np.ascontiguousarray(small[..., 3]),
        shadow=_changed(cutout.shadow, lambda alpha: resized(Image.fromarray(alpha))),
    )


def parse_scale(text: str) -> float | None:
    """The part in (0, 1] of `10%` to `100%`, None for `original`. Raises `ValueError`."""
    if text == "original":
        return None
    (value,) = _percents(text, 1)
    if not 0.1 <= value <= 1:
        raise ValueError("scale is between 10% and 100%")
    return value


def parse_position(text: str) -> tuple[float, float] | None:
    """`(x, y)` in [0, 1] of `center`, `x%` or `x% y%`; None for `original`. Raises `ValueError`."""
    if text == "original":
        return None
    if text == "center":
        return 0.5, 0.5
    values = _percents(text, 2 if " " in text.strip() else 1)
    return values[0], values[-1]


def _percents(text: str, count: int) -> list[float]:
    parts = text.split()
    if len(parts) != count or not all(re.fullmatch(r"\d{1,3}(\.\d{1,3})?%", p) for p in parts):
        raise ValueError(f"{text!r} is not {'one per cent value' if count == 1 else 'two of them'}")
    values = [float(part[:-1]) / 100 for part in parts]
    if not all(0 <= value <= 1 and math.isfinite(value) for value in values):
        raise ValueError("per cents lie between 0% and 100%")
    return values
