"""Colours to sRGB and back: ICC profiles through LittleCMS, and spaces named by code points."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from rmbg_service.imaging.colour_space import ColourSpace
from rmbg_service.imaging.matrix_profile import deep_to_srgb, read_matrix_profile
from rmbg_service.imaging.pillow_pixels import scaled_to_8_bits, to_array
from rmbg_service.imaging.tone import hdr_to_srgb

_MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_CLASSES = (b"scnr", b"mntr", b"prtr", b"spac")  # that describe the colours of an image
_MAX_TAGS = 100  # LittleCMS reads no more
_SRGB = ImageCms.createProfile("sRGB")
_LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION
_EXACT = ImageCms.Flags.NOOPTIMIZE  # for few colours: ten times slower
_UNUSABLE = (ImageCms.PyCMSError, OSError, ValueError, TypeError)


def convert(
    pixels: Image.Image | NDArray[np.uint8] | NDArray[np.uint16],
    colour: bytes | ColourSpace | None,
    keep: bool,
) -> tuple[NDArray[np.uint8], bytes | None]:
    """`pixels` as `(H, W, 3)` uint8 RGB, and the profile that they are in; None is sRGB.

    `pixels` are those of `Samples`. `colour` is their profile or space; one that cannot be used
    counts as none. `keep` leaves the pixels of an RGB space other than sRGB as they are.
    """
    mode = pixels.mode if isinstance(pixels, Image.Image) else "RGB"
    mode = "RGB" if mode == "RGBA" else mode
    if mode == "L" and not _is_for_grey(colour):
        pixels, mode = _rgb(pixels), "RGB"
    if isinstance(colour, ColourSpace) and colour.is_hdr:
        if mode == "RGB":
            return hdr_to_srgb(_rgb(pixels), colour), None
        colour = None
    if isinstance(colour, ColourSpace):
        colour = colour.icc()
    if mode == "LAB":
        assert isinstance(pixels, Image.Image)
        return to_array(to_srgb(pixels, _LAB)), None
    profile = matching_profile(colour, mode)
    if profile is not None and mode == "RGB":
        if is_srgb(profile):
            return _rgb(pixels), colour if keep else None
        if keep and _can_be_converted_to(profile):
            return _rgb(pixels), colour
    if profile is None:
        return _rgb(pixels), None
    if isinstance(pixels, Image.Image):
        if mode == "L":
            return _grey_to_srgb(pixels, profile), None
        image = pixels.convert("RGB") if pixels.mode == "RGBA" else pixels
        return to_array(to_srgb(image, profile)), None
    if pixels.dtype == np.uint16 and (deep := read_matrix_profile(colour or b"")) is not None:
        return deep_to_srgb(np.asarray(pixels, np.uint16), deep), None
    return to_array(to_srgb(Image.fromarray(_rgb(pixels)), profile)), None


def _rgb(pixels: Image.Image | NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.uint8]:
    """8-bit RGB of pixels whose profile does not count."""
    if isinstance(pixels, Image.Image):
        return to_array(pixels if pixels.mode in ("RGB", "RGBA") else pixels.convert("RGB"))
    return np.ascontiguousarray(scaled_to_8_bits(pixels))


def _is_for_grey(colour: bytes | ColourSpace | None) -> bool:
    """Whether a profile is one of grey; an image without hues may have one of RGB as well."""
    return isinstance(colour, bytes) and colour[16:20] == b"GRAY"


def _grey_to_srgb(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> NDArray[np.uint8]:
    """RGB `(H, W, 3)` of a grey image; each of its 256 levels is converted once, and exactly."""
    levels = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    table = np.asarray(to_srgb(levels, profile, _FLAGS | _EXACT))[0]
    return np.asarray(table[to_array(image)])


def _profile(icc: bytes) -> ImageCms.ImageCmsProfile:
    """A profile without its D2Bx and B2Dx, whose elements and cost have no bound."""
    plain = bytearray(icc)
    for entry in _tag_entries(icc):
        if icc[entry : entry + 3] in (b"D2B", b"B2D"):
            plain[entry : entry + 3] = b"-2-"
    return ImageCms.ImageCmsProfile(BytesIO(plain))


def _tag_entries(icc: bytes) -> range:
    """Where the entries of a profile's table of tags begin."""
    tags = min(int.from_bytes(icc[128:132], "big"), _MAX_TAGS)
    return range(132, 132 + 12 * tags, 12)


def matching_profile(icc: bytes | None, mode: str) -> ImageCms.ImageCmsProfile | None:
    """The profile in `icc` if colours of images of `mode` (RGB, L or CMYK) can be read by it."""
    if not icc or icc[12:16] not in _CLASSES:
        return None
    has_table = any(icc[entry : entry + 3] == b"A2B" for entry in _tag_entries(icc))
    if mode == "RGB" and icc[20:24] == b"Lab " and not has_table:
        return None  # a matrix leads to XYZ
    try:
        profile = _profile(icc)
        if _MODE_OF_SPACE.get(profile.profile.xcolor_space.strip()) != mode:
            return None
        ImageCms.buildTransform(profile, _SRGB, mode, "RGB", _INTENT, _FLAGS)
    except _UNUSABLE:
        return None
    return profile


def _can_be_converted_to(profile: ImageCms.ImageCmsProfile) -> bool:
    """Whether sRGB colours can be put beside those of an RGB profile."""
    try:
        ImageCms.buildTransform(_SRGB, profile, "RGB", "RGB", _INTENT, _FLAGS)
    except _UNUSABLE:
        return False
    return True


def is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    """Whether an RGB profile means sRGB: no colour of a grid moves by more than 1/255."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    moved = np.asarray(to_srgb(Image.fromarray(grid), profile))
    return bool(np.abs(moved.astype(int) - grid).max() <= 1)


def to_srgb(
    image: Image.Image, profile: ImageCms.ImageCmsProfile, flags: ImageCms.Flags = _FLAGS
) -> Image.Image:
    """`image` (RGB, L, CMYK or LAB) in the space of `profile`, as 8-bit sRGB."""
    transform = ImageCms.buildTransform(profile, _SRGB, image.mode, "RGB", _INTENT, flags)
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None, "only in-place transforms return None"
    return converted


def rgb_to_srgb(rgb: NDArray[np.uint8], icc: bytes) -> NDArray[np.uint8]:
    """`rgb` `(H, W, 3)` uint8 in the RGB space of `icc`, as sRGB."""
    profile = _profile(icc)
    return np.asarray(to_srgb(Image.fromarray(rgb), profile))


def rgb_from_srgb(rgb: NDArray[np.uint8], icc: bytes) -> NDArray[np.uint8]:
    """sRGB `rgb` `(H, W, 3)` uint8 in the RGB space of `icc`."""
    profile = _profile(icc)
    transform = ImageCms.buildTransform(_SRGB, profile, "RGB", "RGB", _INTENT, _FLAGS)
    converted = ImageCms.applyTransform(Image.fromarray(rgb), transform)
    assert converted is not None, "only in-place transforms return None"
    return np.asarray(converted)
