"""An image without its background."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rmbg_service.imaging.png import write_rgba
from rmbg_service.imaging.tiling import bands
from rmbg_service.types import Box

BOX_THRESHOLD = 13
"""Alpha, of 255, from which on a pixel belongs to the subject's box: 5%."""

SHADOW_BOX_THRESHOLD = 26
"""Alpha, of 255, from which on a pixel belongs to the shadow's box: 10%."""


@dataclass(frozen=True)
class PaintedLayer:
    """A painted shadow at a reduced size, which may extend beyond the image.

    `alpha` `(h, w)` uint8 begins at (`left`, `top`), in px of the image; each of its pixels is
    `step` px of the image wide.
    """

    alpha: NDArray[np.uint8]
    left: float
    top: float
    step: float

    @property
    def box(self) -> Box | None:
        """Where it is denser than 10%, in px of the image."""
        box = box_of(self.alpha, SHADOW_BOX_THRESHOLD)
        if box is None:
            return None
        return Box(
            math.floor(self.left + box.left * self.step),
            math.floor(self.top + box.top * self.step),
            math.ceil(self.left + box.right * self.step),
            math.ceil(self.top + box.bottom * self.step),
        )


@dataclass(frozen=True)
class Shadow:
    """The subject's shadow, or why there is none.

    `alpha` `(H, W)` uint8 is that of a black layer under the subject, in the encoded values in
    which images are composited; None if there is no shadow (`reason` says why) or if the layer is
    no longer needed. `painted` is a painted shadow that has not been drawn yet: it gets its `alpha`
    with the canvas. `box` is where the shadow is denser than 10%, `density` its mean in [0, 1]
    there, both in the input image, beyond which a painted shadow may extend. `confidence` in
    [0, 1] says how well a kept shadow stands out from the floor.
    """

    kind: Literal["keep", "drop"]
    alpha: NDArray[np.uint8] | None = None
    box: Box | None = None
    density: float = 0.0
    confidence: float = 0.0
    reason: str | None = None
    painted: PaintedLayer | None = None

    @property
    def found(self) -> bool:
        """Whether there is a shadow."""
        return self.reason is None


class Backdrop(NamedTuple):
    """A background for a cutout of the same size: `rgb` `(H, W, 3)` uint8, of one opacity."""

    rgb: NDArray[np.uint8]
    alpha: int


@dataclass(frozen=True)
class Cutout:
    """An image without its background, straight alpha.

    `rgb` is `(H, W, 3)` uint8, in the RGB space of the profile `icc`, or in sRGB if that is None;
    `alpha` is `(H, W)` uint8. Lossless writers store RGB as 0 where alpha is 0. `confidence` in
    [0, 1] says how decided the network was about what it kept: sum(m^2) / sum(m) over its matte m.
    `shadow` is a layer of its own under the subject, None when none was asked for. `backdrop` is
    the lowest layer, None unless a file of layers was asked for and a background.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    icc: bytes | None = None
    confidence: float = 1.0
    shadow: Shadow | None = None
    backdrop: Backdrop | None = None

    @property
    def shadow_alpha(self) -> NDArray[np.uint8] | None:
        """The shadow's alpha `(H, W)` uint8, None without a shadow."""
        return None if self.shadow is None else self.shadow.alpha

    @property
    def size(self) -> tuple[int, int]:
        """`(width, height)` in px."""
        height, width = self.alpha.shape
        return width, height

    @property
    def box(self) -> Box | None:
        """Where alpha reaches `BOX_THRESHOLD`; None if it does nowhere."""
        return box_of(self.alpha, BOX_THRESHOLD)

    @property
    def extent(self) -> Box | None:
        """The box of the subject and its shadow; None without a subject."""
        subject = self.box
        shadow = None
        if self.shadow is not None and self.shadow.painted is not None:
            shadow = self.shadow.painted.box
        elif self.shadow_alpha is not None:
            shadow = box_of(self.shadow_alpha, SHADOW_BOX_THRESHOLD)
        if subject is None:
            return None
        return subject if shadow is None else subject.union(shadow)

    @property
    def visible(self) -> Box | None:
        """Where anything of the subject or its shadow can be seen at all."""
        subject = box_of(self.alpha, 1)
        shadow = None if self.shadow_alpha is None else box_of(self.shadow_alpha, 1)
        if subject is None or shadow is None:
            return subject or shadow
        return subject.union(shadow)

    def with_shadow(self) -> "Cutout":
        """Subject and shadow in one layer: Porter and Duff's `over` (SIGGRAPH 1984) on black.

        Done in bands, into new arrays; without a shadow the cutout itself.
        """
        if self.shadow is None or self.shadow.alpha is None:
            return self
        rgb, alpha = np.empty_like(self.rgb), np.empty_like(self.alpha)
        for rows in bands(alpha.shape):
            rgb[rows], alpha[rows] = self.rows_with_shadow(rows)
        return replace(self, rgb=rgb, alpha=alpha, shadow=None)

    def rows_with_shadow(self, rows: slice) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """RGB and alpha of some rows, subject and shadow in one layer."""
        if self.shadow_alpha is None:
            return self.rgb[rows], self.alpha[rows]
        above = self.alpha[rows].astype(np.float32)
        total = above + (255 - above) * self.shadow_alpha[rows] * np.float32(1 / 255)
        share = above / np.maximum(total, 1)
        rgb = self.rgb[rows] * share[..., None] + 0.5
        return rgb.astype(np.uint8), (total + 0.5).astype(np.uint8)

    def png(self) -> bytes:
        """The cutout, on its shadow, as a PNG file."""
        flat = self.with_shadow()
        return write_rgba(flat.rgb, flat.alpha, flat.icc)

    def save(self, path: str | Path) -> None:
        """Write the cutout to a PNG file; raises `ValueError` for any suffix but `.png`."""
        if Path(path).suffix.lower() != ".png":
            raise ValueError("save() writes PNG files; for other formats use to_pil().save()")
        Path(path).write_bytes(self.png())

    def to_pil(self) -> Image.Image:
        """The cutout, on its shadow, as a Pillow image of mode RGBA, RGB 0 where alpha is 0."""
        flat = self.with_shadow()
        image = Image.fromarray(flat.rgba())
        if flat.icc is not None:
            image.info["icc_profile"] = flat.icc
        return image

    def rgba(self) -> NDArray[np.uint8]:
        """The subject alone, `(H, W, 4)` uint8 with straight alpha; RGB is 0 where alpha is 0."""
        rgba = np.dstack([self.rgb, self.alpha])
        rgba.view(np.uint32)[self.alpha == 0] = 0
        return rgba


def box_of(alpha: NDArray[np.uint8], threshold: int) -> Box | None:
    """Where `alpha` `(H, W)` reaches `threshold`; None if it does nowhere."""
    inside = cv2.threshold(alpha, threshold - 1, 255, cv2.THRESH_BINARY)[1]
    left, top, width, height = cv2.boundingRect(inside)
    return Box(left, top, left + width, top + height) if width else None
