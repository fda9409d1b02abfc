"""Pillow's images of every mode as samples of 8 bits."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rmbg_service.imaging.tiling import bands


class Samples(NamedTuple):
    """An image's samples, and its transparency `(H, W)` uint8 or None.

    `colour` is a Pillow image of mode L, RGB, RGBA (whose alpha does not count), CMYK or LAB, or
    an array `(H, W, 3)` of RGB: uint8, or uint16 where 8 bits are too few for its colour space.
    """

    colour: Image.Image | NDArray[np.uint8] | NDArray[np.uint16]
    alpha: NDArray[np.uint8] | None = None


def samples_of(image: Image.Image) -> Samples:
    """The samples of a loaded image of any mode. Raises `ValueError` for one it cannot read."""
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep_grey(image)
    if image.mode in ("La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if image.mode in ("1", "L") and image.has_transparency_data:
        image = image.convert("LA")
    if image.mode == "LA":
        return Samples(image.getchannel("L"), to_array(image.getchannel("A")))
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        return Samples(rgba, to_array(rgba.getchannel("A")))
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return Samples(image)
    return Samples(image.convert("L" if image.mode == "1" else "RGB"))


def to_array(image: Image.Image) -> NDArray[np.uint8]:
    """Pixels of an L, RGB or RGBA image, of the last without its alpha.

    In bands: in one piece, Pillow would hand them over through two copies of the image.
    """
    width, height = image.size
    shape = (height, width) if image.mode == "L" else (height, width, 3)
    pixels = np.empty(shape, np.uint8)
    for rows in bands(shape):
        band = np.asarray(image.crop((0, rows.start, width, rows.stop)))
        pixels[rows] = band if band.ndim == 2 else band[..., :3]
    return pixels


def scaled_to_8_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Integers `(H, W[, n])` of 16 bits scaled to 8 and rounded; those of uint8 as they are."""
    if values.dtype == np.uint8:
        return values
    scaled = np.empty(values.shape, np.uint8)
    for rows in bands(values.shape):
        scaled[rows] = (values[rows].astype(np.uint32) * 255 + 32767) // 65535
    return scaled


def scale_transparency(image: Image.Image, depth: int) -> None:
    """Bring the transparent colour of a PNG of `depth` bits to 8, as Pillow does its pixels."""
    key = image.info.get("transparency")
    if isinstance(key, int) and depth in (2, 4):  # of 1 bit Pillow scales it
        image.info["transparency"] = key * 255 // (2**depth - 1)
    elif isinstance(key, tuple) and depth == 16:
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _from_deep_grey(image: Image.Image) -> Samples:
    """16-bit grey scaled to 8 bits, which Pillow would clip, and its transparency."""
    grey = np.asarray(image)
    if image.mode == "F" or grey.min() < 0 or grey.max() > 65535:
        raise ValueError("grey values beyond 16 bits are not supported")
    key = image.info.get("transparency")
    alpha = None if key is None else np.where(grey == key, 0, 255).astype(np.uint8)
    return Samples(Image.fromarray(scaled_to_8_bits(grey)), alpha)
