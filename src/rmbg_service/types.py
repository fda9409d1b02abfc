"""Arrays and small values that several packages use; imports none of them."""

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

ModelInput: TypeAlias = NDArray[np.uint8]
"""`(h, w, 3)` uint8 sRGB image of the predictor's `input_size`; not normalised."""

MattingInput: TypeAlias = NDArray[np.uint8]
"""`(h, w, 4)` uint8: sRGB and a trimap, of a tile of the image; what a matting network takes."""

Matte: TypeAlias = NDArray[np.float32]
"""`(h, w)` float32 in [0, 1]; 0 is background, 1 is foreground."""

Alpha: TypeAlias = NDArray[np.uint8]
"""`(H, W)` uint8 at the image's size; 0 is background, 255 is foreground."""

Trimap: TypeAlias = NDArray[np.uint8]
"""`(h, w)` uint8: 0 known background, 128 unknown, 255 known foreground."""

RgbImage: TypeAlias = NDArray[np.uint8]
"""`(H, W, 3)` uint8 sRGB."""

Planes: TypeAlias = NDArray[np.float32]
"""`(h, w, n)` float32."""

BoolMask: TypeAlias = NDArray[np.bool_]
"""`(h, w)` bool."""


class Colour(NamedTuple):
    """A colour in sRGB with straight alpha, each channel in [0, 255]."""

    red: int
    green: int
    blue: int
    alpha: int = 255


class Length(NamedTuple):
    """A length in px, or, if `relative`, in percent of a side."""

    value: float
    relative: bool = False

    def px(self, side: int) -> float:
        """The length in px beside a side of `side` px."""
        return self.value / 100 * side if self.relative else self.value


class Margin(NamedTuple):
    """Space on each side of a box; relative lengths are percentages of the box."""

    top: Length
    right: Length
    bottom: Length
    left: Length


class Position(NamedTuple):
    """A place on a canvas, in [0, 1]: 0 is left and top, 1 is right and bottom."""

    x: float
    y: float


class Canvas(NamedTuple):
    """The frame of a result: `width` x `height` px, or, if `relative`, only their ratio."""

    width: float
    height: float
    relative: bool = False


class Box(NamedTuple):
    """A part of an image in px; `right` and `bottom` are the first column and row outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    def union(self, other: "Box") -> "Box":
        """The smallest box around both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    @property
    def longest_side(self) -> int:
        """The larger of width and height."""
        return max(self.width, self.height)
