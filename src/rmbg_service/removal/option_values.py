"""How a caller writes where and on what a cutout shall stand, as numbers."""

import math
import re

from PIL import ImageColor

from rmbg_service.types import Colour, Margin


def parse_colour(text: str) -> Colour:
    """RGBA of a CSS colour: a name, `#rgb`, `#rgba`, `#rrggbb`, `#rrggbbaa`, `rgb()` or `hsl()`.

    The `#` may be missing. Raises `ValueError` for anything else.
    """
    text = text.strip()
    if text == "transparent":  # a name of CSS that Pillow does not know
        return 0, 0, 0, 0
    if re.fullmatch(r"[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8}", text):
        text = f"#{text}"
    colour = ImageColor.getcolor(text, "RGBA")
    assert isinstance(colour, tuple)
    if not all(0 <= channel <= 255 for channel in colour):
        raise ValueError(f"{text!r} has a channel beyond its range")
    return colour  # type: ignore[return-value]


def parse_margin(text: str) -> Margin:
    """A CSS-like margin of 1, 2 or 4 values in `px` or `%`. Raises `ValueError`."""
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
    values = _percents(text, 2 if len(text.split()) > 1 else 1)
    return values[0], values[-1]


def _percents(text: str, count: int) -> list[float]:
    parts = text.split()
    if len(parts) != count or not all(re.fullmatch(r"\d{1,3}(\.\d{1,3})?%", p) for p in parts):
        raise ValueError(f"{text!r} is not {'one per cent value' if count == 1 else 'two of them'}")
    values = [float(part[:-1]) / 100 for part in parts]
    if not all(0 <= value <= 1 and math.isfinite(value) for value in values):
        raise ValueError("per cents lie between 0% and 100%")
    return values
