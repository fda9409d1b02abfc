"""The values of options that callers write as text: colours, margins, lengths, regions.

Each parser takes text in lower case with single blanks and raises `InvalidOption`. `OptionText`
makes a pydantic field of a parser: text on the wire, a `Parsed` value in Python.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

from PIL import ImageColor
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from rmbg_service.errors import InvalidOption, InvalidRegion
from rmbg_service.types import Box, Canvas, Colour, Length, Margin, Position

_T = TypeVar("_T")
_LENGTH = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(px|%)|(?P<zero>0)")
_MARGIN_LENGTH = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,3})?)(px|%|)")
_CANVAS_PX = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")
_CANVAS_RATIO = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,3})?):([0-9]{1,4}(?:\.[0-9]{1,3})?)")
_MAX_RATIO = 20
_PERCENTAGE = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3})?%")


@dataclass(frozen=True)
class Parsed(Generic[_T]):
    """A value and the text that it was parsed from; two are equal if their values are."""

    value: _T
    text: str = field(compare=False)

    def __str__(self) -> str:
        """The text."""
        return self.text


@dataclass(frozen=True)
class OptionText:
    """Annotation of a pydantic field: text of at most `max_length` characters for `parse`.

    The field holds a `Parsed` and is written as its text. Letter case and extra blanks do not
    matter. The JSON schema is that of a string.
    """

    parse: Callable[[str], object]
    max_length: int

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        """How pydantic validates and writes such a field."""
        text = core_schema.str_schema(max_length=self.max_length)
        return core_schema.no_info_wrap_validator_function(
            self._validate,
            text,
            serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=text),
        )

    def _validate(self, given: object, to_text: Callable[[object], str]) -> object:
        if isinstance(given, Parsed):
            return given
        text = " ".join(to_text(given).lower().split())
        return Parsed(self.parse(text), text)


class Region(NamedTuple):
    """A region of interest: the only part of an image in which a subject is looked for."""

    left: Length
    top: Length
    right: Length
    bottom: Length

    def box(self, width: int, height: int) -> Box | None:
        """The region of an image of `width` x `height` px; None if it is the whole image.

        Raises `InvalidRegion` if the region is empty or extends beyond the image.
        """
        sides = (width, height) * 2
        box = Box(*(round(edge.px(side)) for edge, side in zip(self, sides, strict=True)))
        if box.right > width or box.bottom > height:
            raise InvalidRegion(
                "the region from {left},{top} to {right},{bottom} px leaves the image of "
                "{width} x {height} px",
                "exceeds",
                **box._asdict(),
                width=width,
                height=height,
            )
        if box.width <= 0 or box.height <= 0:
            raise InvalidRegion(
                "the region from {left},{top} to {right},{bottom} px is empty",
                "empty",
                **box._asdict(),
            )
        return None if box == Box(0, 0, width, height) else box


def parse_colour(text: str) -> Colour:
    """Parse a CSS colour: a name, `#rgb`, `#rgba`, `#rrggbb`, `#rrggbbaa`, `rgb()` or `hsl()`.

    The `#` may be missing.
    """
    text = text.strip()
    if text == "transparent":  # a CSS name that Pillow does not know
        return Colour(0, 0, 0, 0)
    if re.fullmatch(r"[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8}", text):
        text = f"#{text}"
    try:
        text.encode("ascii")  # Pillow also takes the digits of other scripts
        colour = ImageColor.getcolor(text, "RGBA")
    except ValueError:
        raise InvalidOption(
            "expected a CSS colour such as white or #ff8800, got {text!r}", text=text
        ) from None
    assert isinstance(colour, tuple)
    if not all(0 <= channel <= 255 for channel in colour):
        raise InvalidOption("expected channels from 0 to 255, got {text!r}", text=text)
    return Colour(*colour)


def parse_margin(text: str) -> Margin:
    """Parse a CSS-like margin of 1, 2 or 4 values in `px` or `%`."""
    values = [_margin_length(part) for part in text.split()]
    if len(values) == 1:
        values *= 4
    elif len(values) == 2:
        values *= 2
    if len(values) != 4:
        raise InvalidOption("a margin has 1, 2 or 4 values")
    return Margin(*values)


def _margin_length(text: str) -> Length:
    match = _MARGIN_LENGTH.fullmatch(text)
    if match is None:
        raise InvalidOption("expected a margin such as 30px or 10%, got {text!r}", text=text)
    length = Length(float(match[1]), match[2] == "%")
    if length.relative and length.value > 100:
        raise InvalidOption("a margin is at most 100%")
    return length


def parse_scale(text: str) -> float | None:
    """Parse a percentage from `10%` to `100%` to a number in (0, 1]; None for `original`."""
    if text == "original":
        return None
    value = _fraction(text)
    if value is None:
        raise InvalidOption("expected a scale such as 80%, or original, got {text!r}", text=text)
    if value < 0.1:
        raise InvalidOption("scale is between 10% and 100%")
    return value


def parse_canvas(text: str) -> Canvas | None:
    """Parse a size in px such as `2000x2000` or a ratio such as `4:5`; None for `original`."""
    if text == "original":
        return None
    if match := _CANVAS_PX.fullmatch(text):
        canvas = Canvas(int(match[1]), int(match[2]))
    elif match := _CANVAS_RATIO.fullmatch(text):
        canvas = Canvas(float(match[1]), float(match[2]), relative=True)
    else:
        raise InvalidOption(
            "expected a canvas such as 2000x2000, 4:5 or original, got {text!r}", text=text
        )
    if not canvas.width or not canvas.height:
        raise InvalidOption("a side of a canvas is at least 1")
    if canvas.relative and not 1 / _MAX_RATIO <= canvas.width / canvas.height <= _MAX_RATIO:
        raise InvalidOption(
            "the ratio of a canvas is between 1:{most} and {most}:1", most=_MAX_RATIO
        )
    return canvas


def parse_position(text: str) -> Position | None:
    """Parse `center`, `x%` or `x% y%`; None for `original`."""
    if text == "original":
        return None
    if text == "center":
        return Position(0.5, 0.5)
    values = [_fraction(part) for part in text.split()]
    fractions = [value for value in values if value is not None]
    if len(values) not in (1, 2) or len(fractions) != len(values):
        raise InvalidOption(
            "expected a position such as center, 30% or 20% 80%, got {text!r}", text=text
        )
    return Position(fractions[0], fractions[-1])


def _fraction(text: str) -> float | None:
    """A percentage as a number in [0, 1]; None for any other text."""
    if not _PERCENTAGE.fullmatch(text):
        return None
    value = float(text[:-1]) / 100
    if value > 1:
        raise InvalidOption("percentages are between 0% and 100%")
    return value


def parse_region(text: str) -> Region:
    """Parse `x1 y1 x2 y2`, each in `px` or `%`, or 0."""
    matches = [_LENGTH.fullmatch(part) for part in text.split()]
    edges = [Length(float(match[1] or 0), match[2] == "%") for match in matches if match]
    if len(matches) != 4 or len(edges) != 4:
        raise InvalidOption(
            "a region is four lengths, as in `10% 0% 90% 100%` or `0px 0px 200px 99px`"
        )
    if any(edge.relative and edge.value > 100 for edge in edges):
        raise InvalidOption("percentages are between 0% and 100%")
    return Region(*edges)


ColourOption = Annotated[Parsed[Colour], OptionText(parse_colour, max_length=40)]
MarginOption = Annotated[Parsed[Margin], OptionText(parse_margin, max_length=60)]
ScaleOption = Annotated[Parsed[float | None], OptionText(parse_scale, max_length=20)]
CanvasOption = Annotated[Parsed[Canvas | None], OptionText(parse_canvas, max_length=20)]
PositionOption = Annotated[Parsed[Position | None], OptionText(parse_position, max_length=40)]
RegionOption = Annotated[Parsed[Region], OptionText(parse_region, max_length=60)]

NO_MARGIN = Parsed(parse_margin("0"), "0")
ORIGINAL_SCALE = Parsed(parse_scale("original"), "original")
ORIGINAL_CANVAS = Parsed(parse_canvas("original"), "original")
WHOLE_IMAGE = Parsed(parse_region("0% 0% 100% 100%"), "0% 0% 100% 100%")
