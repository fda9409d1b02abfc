"""A region of interest: the only part of a picture in which a subject is looked for."""

import re
from dataclasses import dataclass

from rmbg_service.errors import InvalidRegion
from rmbg_service.types import Box

_LENGTH = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(px|%)|(?P<zero>0)")


@dataclass(frozen=True)
class Region:
    """Left, top, right and bottom, each as a number and whether that is in per cent, else in px."""

    edges: tuple[tuple[float, bool], ...]

    def box(self, width: int, height: int) -> Box | None:
        """The region of a picture of `width` x `height` px, None when it is the whole picture.

        Raises `InvalidRegion` when nothing is left of it, or when it leaves the picture.
        """
        box = Box(
            *(
                round(value / 100 * side) if relative else round(value)
                for (value, relative), side in zip(self.edges, (width, height) * 2, strict=True)
            )
        )
        region = f"the region from {box.left},{box.top} to {box.right},{box.bottom} px"
        if box.right > width or box.bottom > height:
            raise InvalidRegion(f"{region} leaves the picture of {width} x {height} px", "exceeds")
        if box.width <= 0 or box.height <= 0:
            raise InvalidRegion(f"{region} is empty", "empty")
        return None if box == Box(0, 0, width, height) else box


def parse_region(text: str) -> Region:
    """`x1 y1 x2 y2`, each in `px` or `%`, or 0. Raises `ValueError`."""
    matches = [_LENGTH.fullmatch(part) for part in text.split()]
    edges = tuple((float(match[1] or 0), match[2] == "%") for match in matches if match is not None)
    if len(matches) != 4 or len(edges) != 4:
        raise ValueError(
            "a region is four lengths, as in `10% 0% 90% 100%` or `0px 0px 200px 99px`"
        )
    if any(relative and value > 100 for value, relative in edges):
        raise ValueError("per cents lie between 0% and 100%")
    return Region(edges)
