"""Background removal from Python, without a server."""

from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rmbg_service.errors import ImageTooLarge, InvalidImage
from rmbg_service.imaging.decode import ImageInfo, SourceImage
from rmbg_service.models.predictor import Predictor
from rmbg_service.models.select import select_predictor
from rmbg_service.serving.pipeline import Cutout, cut_out, open_image
from rmbg_service.settings import Settings, load_settings

Picture: TypeAlias = bytes | str | Path | Image.Image | NDArray[np.uint8]


def remove_background(picture: Picture, predictor: Predictor | None = None) -> Cutout:
    """Remove the background of one picture.

    `picture` is the bytes or the path of an image file, a Pillow image, or an array of shape
    `(H, W)`, `(H, W, 3)` or `(H, W, 4)`, uint8 sRGB. `predictor` is a loaded one; by default the
    model that `RMBG_MODEL` names is loaded on the first call and kept.

    Raises `InvalidImage`, `ImageTooLarge` (above `RMBG_MAX_IMAGE_PIXELS`) or
    `ConfigurationError`.
    """
    settings = load_settings()
    source = _source(picture, settings.max_image_pixels)
    return cut_out(source, predictor or _default_predictor(settings))


@lru_cache(maxsize=1)
def _default_predictor(settings: Settings) -> Predictor:
    predictor = select_predictor(settings)
    predictor.load()
    return predictor


def _source(picture: Picture, max_pixels: int) -> SourceImage:
    if isinstance(picture, str | Path):
        picture = Path(picture).read_bytes()
    if isinstance(picture, bytes):
        return open_image(picture, max_pixels)
    if isinstance(picture, Image.Image):
        buffer = BytesIO()
        picture.save(buffer, "PNG", compress_level=0, exif=picture.getexif())
        return open_image(buffer.getvalue(), max_pixels)
    return _source_of_array(picture, max_pixels)


def _source_of_array(array: NDArray[np.uint8], max_pixels: int) -> SourceImage:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or 0 in array.shape:
        raise InvalidImage(f"need a uint8 array (H, W[, 3 or 4]), got {array.dtype} {array.shape}")
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    height, width, channels = array.shape
    if channels not in (3, 4):
        raise InvalidImage(f"need 3 or 4 channels, got {channels}")
    if width * height > max_pixels:
        raise ImageTooLarge(f"{width} x {height} pixels; at most {max_pixels} are accepted")
    alpha = np.ascontiguousarray(array[..., 3]) if channels == 4 else None
    info = ImageInfo("array", width, height)
    return SourceImage(info, np.ascontiguousarray(array[..., :3]), alpha)
