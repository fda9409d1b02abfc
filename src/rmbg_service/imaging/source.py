"""What the codecs hand on: an image's size and format, and its decoded pixels."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rmbg_service.types import Box


@dataclass(frozen=True)
class ImageInfo:
    """What the header of an image file says; nothing was decoded.

    `width` and `height` are those of the upright image; `animated` says that there are more
    frames or pages than the first one, which is used.
    """

    format: str
    width: int
    height: int
    animated: bool = False

    @property
    def pixels(self) -> int:
        """Width x height."""
        return self.width * self.height


@dataclass(frozen=True)
class SourceImage:
    """A decoded, upright image.

    `rgb` is `(H, W, 3)` uint8, in the RGB space of the profile `icc` or in sRGB if that is None;
    `alpha` is the input's own `(H, W)` uint8 transparency or None. `region` is the part of the
    image that `rgb` and `alpha` hold; None means all of it.
    """

    info: ImageInfo
    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    icc: bytes | None = None
    region: Box | None = None

    def cut(self, box: Box) -> "SourceImage":
        """The part of this image inside `box`, a view; `info` keeps the whole image's size."""
        height, width = self.rgb.shape[:2]
        rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
        return replace(
            self,
            info=replace(self.info, width=width, height=height),
            rgb=self.rgb[rows, columns],
            alpha=None if self.alpha is None else self.alpha[rows, columns],
            region=box,
        )
