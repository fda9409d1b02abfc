"""A rectangle of a picture."""

from typing import NamedTuple


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

    @property
    def longest_side(self) -> int:
        """The larger of width and height."""
        return max(self.width, self.height)
