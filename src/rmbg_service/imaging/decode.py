"""Image files to pixels: a header probe that costs nothing, then the full decode."""

from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
import pillow_heif
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageOps

from rmbg_service.errors import EmptyImage, ImageTooLarge, InvalidImage, UnknownFormat
from rmbg_service.imaging.colour import is_srgb, matching_profile, to_srgb
from rmbg_service.types import Box

pillow_heif.register_heif_opener()

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "BMP", "TIFF")
"""The only Pillow decoders that input may reach."""

_ORIENTATION_TAG = 0x0112
_MAX_READS = {"probe": 20_000, "decode": 200_000}
_MAX_JPEG_SCANS = 100
_BAND_ROWS = 256
_PNG_DEPTH = 24  # where a PNG says how many bits a sample has
_UPRIGHT_IN_HEADER = ("TIFF", "HEIF")  # their openers give the size of the turned picture


@dataclass(frozen=True)
class ImageInfo:
    """What the header of an image file says; nothing was decoded.

    `width` and `height` are those of the upright picture, after its EXIF orientation; `animated`
    says that there are more frames or pages than the first one, which is used.
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
    """A decoded, upright picture.

    `rgb` is `(H, W, 3)` uint8, in the RGB space of the profile `icc` or in sRGB where that is None;
    `alpha` is the input's own `(H, W)` uint8 transparency or None. `region` is the part of the
    picture that `rgb` and `alpha` hold; None means all of it.
    """

    info: ImageInfo
    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    icc: bytes | None = None
    region: Box | None = None

    def cut(self, box: Box) -> "SourceImage":
        """The part of this picture inside `box`, a view; `info` keeps the whole picture's size."""
        height, width = self.rgb.shape[:2]
        rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
        return replace(
            self,
            info=replace(self.info, width=width, height=height),
            rgb=self.rgb[rows, columns],
            alpha=None if self.alpha is None else self.alpha[rows, columns],
            region=box,
        )


def probe(data: bytes, max_pixels: int) -> ImageInfo:
    """Read the header of an image file.

    Raises `InvalidImage` when it is no accepted format and `ImageTooLarge` when it announces more
    than `max_pixels`; a decompression bomb is refused here, before a pixel is decoded.
    """
    with _open(data, _MAX_READS["probe"], max_pixels) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise ImageTooLarge(
                f"the picture has {width} x {height} pixels; at most {max_pixels} are accepted"
            )
        if width == 0 or height == 0:
            raise EmptyImage("the picture has no pixels")
        if _orientation(image) >= 5 and image.format not in _UPRIGHT_IN_HEADER:
            width, height = height, width  # turned by a quarter
        animated = bool(getattr(image, "is_animated", False))
        return ImageInfo(str(image.format).lower(), width, height, animated)


def decode(data: bytes, info: ImageInfo, *, keep_profile: bool = False) -> SourceImage:
    """Decode the first frame to upright 8-bit RGB and its transparency.

    Pixels are converted to sRGB; with `keep_profile` those of a picture with an RGB profile stay as
    they are and the profile comes with them. 16-bit values are scaled to 8 bits. Raises
    `InvalidImage` when the file is truncated or lies about itself.
    """
    if info.format == "jpeg" and data.count(b"\xff\xda") > _MAX_JPEG_SCANS:
        # A progressive file has about ten; each further one costs a pass over the whole picture.
        raise InvalidImage("the jpeg file has too many scans")
    with _open(data, _MAX_READS["decode"], info.pixels) as image:
        icc = image.info.get("icc_profile")
        try:
            if image.width * image.height > info.pixels:
                raise ValueError("it holds more pixels than its header says")
            plain = _decode_plain_jpeg(data, image)
            if plain is not None:
                return SourceImage(info, *_apply_profile(plain, None, icc, keep_profile))
            _scale_transparency(image, data)
            image.load()
            return SourceImage(info, *_from_pillow(image, icc, keep_profile))
        except Exception as error:  # Pillow's decoders raise anything on hostile bytes
            raise InvalidImage(f"the {info.format} file cannot be decoded: {error}") from None


def from_pillow(image: Image.Image, *, keep_profile: bool = False) -> SourceImage:
    """A picture that is already decoded, by Pillow; `image` stays as it is.

    Raises `InvalidImage` for a mode that cannot be converted.
    """
    try:
        planes = _from_pillow(image.copy(), image.info.get("icc_profile"), keep_profile)
    except Exception as error:  # as above
        raise InvalidImage(f"the picture cannot be converted: {error}") from None
    height, width = planes[0].shape[:2]
    return SourceImage(ImageInfo("pillow", width, height), *planes)


def _from_pillow(
    image: Image.Image, icc: bytes | None, keep_profile: bool
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, bytes | None]:
    ImageOps.exif_transpose(image, in_place=True)
    opaque, alpha = _separate(image)
    return _apply_profile(opaque, alpha, icc, keep_profile)


class _BoundedFile(BytesIO):
    """A file that can be asked only so often: hostile ones consist of millions of tiny parts."""

    def __init__(self, data: bytes, max_reads: int) -> None:
        super().__init__(data)
        self._reads_left = max_reads

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads_left -= 1
        if self._reads_left < 0:
            raise ValueError("the file has too many parts")
        return super().read(size)


def _open(data: bytes, max_reads: int, max_pixels: int) -> Image.Image:
    try:
        return Image.open(_BoundedFile(data, max_reads), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageTooLarge(
            f"the picture has far more pixels than the {max_pixels} that are accepted"
        ) from None
    except Exception:  # same reason as in decode
        accepted = ", ".join(FORMATS)
        raise UnknownFormat(f"not a readable image; accepted formats: {accepted}") from None


def _orientation(image: Image.Image) -> int:
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # asking for it would decode the picture
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # broken EXIF is no reason to refuse the picture
        return 1


def _decode_plain_jpeg(data: bytes, image: Image.Image) -> NDArray[np.uint8] | None:
    """Upright RGB pixels, three times faster than Pillow; None for a JPEG that is not so plain."""
    if image.format != "JPEG" or image.mode != "RGB" or _orientation(image) != 1:
        return None
    try:
        _, _, colourspace, _ = simplejpeg.decode_jpeg_header(data)
        if colourspace != "YCbCr":
            return None
        rgb: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colorspace="RGB")
    except ValueError:  # libjpeg warned; Pillow decides whether the file is sound
        return None
    return rgb


def _scale_transparency(image: Image.Image, data: bytes) -> None:
    """Bring the transparent colour of a PNG to 8 bits a sample, as Pillow does with its pixels."""
    key = image.info.get("transparency")
    depth = data[_PNG_DEPTH] if image.format == "PNG" else 8
    if isinstance(key, int) and depth in (2, 4):  # of 1 bit Pillow scales it
        image.info["transparency"] = key * 255 // (2**depth - 1)
    elif isinstance(key, tuple) and depth == 16:
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _separate(image: Image.Image) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """`image` as 8-bit L, RGB or CMYK, and its transparency."""
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep_grey(image)
    if image.mode in ("1", "L") and image.has_transparency_data:
        image = image.convert("LA")
    if image.mode == "LA":
        return image.getchannel("L"), _to_array(image.getchannel("A"))
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        return rgba, _to_array(rgba.getchannel("A"))
    if image.mode in ("L", "RGB", "CMYK"):
        return image, None
    return image.convert("L" if image.mode == "1" else "RGB"), None


def _to_array(image: Image.Image | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels of an L, RGB or RGBA picture, of the last without its alpha.

    In bands: in one piece, Pillow would hand them over through two copies of the picture.
    """
    if not isinstance(image, Image.Image):
        return image
    width, height = image.size
    shape = (height, width) if image.mode == "L" else (height, width, 3)
    pixels = np.empty(shape, np.uint8)
    for top in range(0, height, _BAND_ROWS):
        bottom = min(top + _BAND_ROWS, height)
        band = np.asarray(image.crop((0, top, width, bottom)))
        pixels[top:bottom] = band if band.ndim == 2 else band[..., :3]
    return pixels


def _from_deep_grey(image: Image.Image) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """16-bit grey scaled to 8 bits, which Pillow would clip, and its transparency."""
    grey = np.asarray(image)
    if image.mode == "F" or grey.min() < 0 or grey.max() > 65535:
        raise ValueError("grey values beyond 16 bits are not supported")
    scaled = (grey.astype(np.uint32) * 255 + 32767) // 65535
    key = image.info.get("transparency")
    alpha = None if key is None else np.where(grey == key, 0, 255).astype(np.uint8)
    return Image.fromarray(scaled.astype(np.uint8)), alpha


def _apply_profile(
    pixels: Image.Image | NDArray[np.uint8],
    alpha: NDArray[np.uint8] | None,
    icc: bytes | None,
    keep: bool,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, bytes | None]:
    """RGB, alpha and the profile that is left to be written with them."""
    mode = pixels.mode if isinstance(pixels, Image.Image) else "RGB"
    mode = "RGB" if mode == "RGBA" else mode
    profile = matching_profile(icc, mode)
    if profile is not None and mode == "RGB" and (keep or is_srgb(profile)):
        return _to_array(pixels), alpha, icc if keep else None
    if profile is not None:
        image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
        image = image.convert("RGB") if image.mode == "RGBA" else image
        return _to_array(to_srgb(image, profile)), alpha, None
    if isinstance(pixels, Image.Image) and mode != "RGB":
        pixels = pixels.convert("RGB")
    return _to_array(pixels), alpha, None
