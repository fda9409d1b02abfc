"""ICC profiles: pictures to sRGB and back, through LittleCMS."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_SRGB = ImageCms.createProfile("sRGB")
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION


def matching_profile(icc: bytes | None, mode: str) -> ImageCms.ImageCmsProfile | None:
    """The profile in `icc` if it can be read and is for pictures of `mode` (RGB, L or CMYK)."""
    if not icc:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(icc))
        space = profile.profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    return profile if _MODE_OF_SPACE.get(space) == mode else None


def is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    """Whether an RGB profile means sRGB: no colour of a grid moves by more than 1/255."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    moved = np.asarray(to_srgb(Image.fromarray(grid), profile))
    return bool(np.abs(moved.astype(int) - grid).max() <= 1)


def to_srgb(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    """`image` (RGB, L or CMYK) in the space of `profile`, as 8-bit sRGB."""
    transform = ImageCms.buildTransform(profile, _SRGB, image.mode, "RGB", _INTENT, _FLAGS)
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None, "only in-place transforms return None"
    return converted


def rgb_to_srgb(rgb: NDArray[np.uint8], icc: bytes) -> NDArray[np.uint8]:
    """`rgb` `(H, W, 3)` uint8 in the RGB space of `icc`, as sRGB."""
    profile = ImageCms.ImageCmsProfile(BytesIO(icc))
    return np.asarray(to_srgb(Image.fromarray(rgb), profile))


def rgb_from_srgb(rgb: NDArray[np.uint8], icc: bytes) -> NDArray[np.uint8]:
    """sRGB `rgb` `(H, W, 3)` uint8 in the RGB space of `icc`."""
    profile = ImageCms.ImageCmsProfile(BytesIO(icc))
    transform = ImageCms.buildTransform(_SRGB, profile, "RGB", "RGB", _INTENT, _FLAGS)
    converted = ImageCms.applyTransform(Image.fromarray(rgb), transform)
    assert converted is not None, "only in-place transforms return None"
    return np.asarray(converted)
