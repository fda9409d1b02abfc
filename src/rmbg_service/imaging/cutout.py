"""A picture without its background."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rmbg_service.imaging.box import Box
from rmbg_service.imaging.png import write_rgba

BOX_THRESHOLD = 13
"""Alpha, of 255, from which on a pixel belongs to the subject's box: 5 %."""


@dataclass(frozen=True)
class Cutout:
    """A picture without its background, straight alpha.

    `rgb` is `(H, W, 3)` uint8, in the RGB space of the profile `icc` or in sRGB where that is None;
    `alpha` is `(H, W)` uint8. Every writer stores RGB as 0 where alpha is 0. `confidence` in [0, 1]
    says how decided the network was about what it kept: sum(m^2) / sum(m) over its matte m.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    icc: bytes | None = None
    confidence: float = 1.0

    @property
    def size(self) -> tuple[int, int]:
        """`(width, height)` in px."""
        height, width = self.alpha.shape
        return width, height

    @property
    def box(self) -> Box | None:
        """Where alpha reaches `BOX_THRESHOLD`; None where it nowhere does."""
        inside = cv2.threshold(self.alpha, BOX_THRESHOLD - 1, 255, cv2.THRESH_BINARY)[1]
        left, top, width, height = cv2.boundingRect(inside)
        return Box(left, top, left + width, top + height) if width else None

    def png(self) -> bytes:
        """The cutout as a PNG file."""
        return write_rgba(self.rgb, self.alpha, self.icc)

    def save(self, path: str | Path) -> None:
        """Write the cutout to a PNG file."""
        Path(path).write_bytes(self.png())

    def to_pil(self) -> Image.Image:
        """The cutout as a Pillow image of mode RGBA, RGB 0 where alpha is 0."""
        return Image.open(BytesIO(self.png()))
