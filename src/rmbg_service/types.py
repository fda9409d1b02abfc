"""Arrays and small values that several rooms speak of. Knows nothing of the rest."""

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

ModelInput: TypeAlias = NDArray[np.uint8]
"""`(h, w, 3)` uint8 sRGB picture of the predictor's `input_size`; not normalised."""

Matte: TypeAlias = NDArray[np.float32]
"""`(h, w)` float32 in [0, 1]; 0 is background, 1 is foreground."""

Alpha: TypeAlias = NDArray[np.uint8]
"""`(H, W)` uint8 at the picture's size; 0 is background, 255 is foreground."""

RgbImage: TypeAlias = NDArray[np.uint8]
"""`(H, W, 3)` uint8 sRGB."""

Planes: TypeAlias = NDArray[np.float32]
"""`(h, w, n)` float32."""

BoolMask: TypeAlias = NDArray[np.bool_]
"""`(h, w)` bool."""

Colour: TypeAlias = tuple[int, int, int, int]
Margin: TypeAlias = tuple[float, float, float, float]
"""Top, right, bottom, left; pixels are positive, per cents of the box negative."""


class Box(NamedTuple):
    """A part of a picture in px; `right` and `bottom` are the first column and row outside."""

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
