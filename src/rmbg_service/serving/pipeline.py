"""Picture in, cutout out: the same three steps for the API, the command line and Python."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rmbg_service.imaging.decode import SourceImage, decode, probe
from rmbg_service.imaging.png import write_grey, write_rgba
from rmbg_service.imaging.resize import fit_matte, shrink
from rmbg_service.models.predictor import Matte, ModelInput, Predictor
from rmbg_service.options import RemovalOptions


@dataclass(frozen=True)
class Cutout:
    """A picture without its background, straight alpha.

    `rgb` is `(H, W, 3)` uint8 sRGB, `alpha` is `(H, W)` uint8. The colours under alpha 0 are those
    of the picture; every writer stores them as 0.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8]

    @property
    def size(self) -> tuple[int, int]:
        """`(width, height)` in px."""
        height, width = self.alpha.shape
        return width, height

    def png(self) -> bytes:
        """The cutout as a PNG file."""
        return write_rgba(self.rgb, self.alpha)

    def save(self, path: str | Path) -> None:
        """Write the cutout to a PNG file."""
        Path(path).write_bytes(self.png())

    def to_pil(self) -> Image.Image:
        """The cutout as a Pillow image of mode RGBA, RGB 0 where alpha is 0."""
        return Image.open(BytesIO(self.png()))


def prepare(source: SourceImage, input_size: tuple[int, int]) -> ModelInput:
    """The network's input `(h, w, 3)` for a decoded picture."""
    return shrink(source.rgb, input_size)


def refine(source: SourceImage, matte: Matte) -> Cutout:
    """The cutout at the picture's own size from the network's small matte."""
    alpha = fit_matte(matte, source.rgb.shape[:2])
    if source.alpha is not None:  # what was transparent stays so
        alpha = (alpha.astype(np.uint16) * source.alpha // 255).astype(np.uint8)
    return Cutout(source.rgb, alpha)


def encode(cutout: Cutout, options: RemovalOptions) -> bytes:
    """The file that `options` asks for."""
    if options.output == "matte":
        return write_grey(cutout.alpha)
    return cutout.png()


def cut_out(source: SourceImage, predictor: Predictor) -> Cutout:
    """All of it in the calling thread, for callers without a server."""
    (matte,) = predictor.predict([prepare(source, predictor.input_size)])
    return refine(source, matte)


def open_image(data: bytes, max_pixels: int) -> SourceImage:
    """Probe, then decode; see `imaging.decode` for what is refused."""
    return decode(data, probe(data, max_pixels))
