"""Image files and Pillow's images to upright sRGB pixels."""

from collections.abc import Callable
from io import BytesIO
from typing import TypeAlias

import cv2
import numpy as np
import pillow_heif
import simplejpeg
from numpy.typing import NDArray
from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from rmbg_service.errors import InvalidImage
from rmbg_service.imaging.colour import convert
from rmbg_service.imaging.colour_space import ColourSpace
from rmbg_service.imaging.exif import ORIENTATION, colour_space_of, orientation_of
from rmbg_service.imaging.formats.bmp import is_run_length_encoded
from rmbg_service.imaging.formats.header import Header, declared_errors
from rmbg_service.imaging.orientation import turn_upright
from rmbg_service.imaging.pillow_pixels import Samples, samples_of, scale_transparency
from rmbg_service.imaging.probe import read_header
from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.imaging.tiff_pixels import decode_tiff

_PNG_DEPTH = 24  # where a PNG says how many bits a sample has
_JPEG_BASELINE, _JPEG_SCAN, _JPEG_END = b"\xff\xc0", b"\xff\xda", b"\xff\xd9"


def decode(
    data: bytes, info: ImageInfo, *, keep_profile: bool = False, as_values: bool = False
) -> SourceImage:
    """Decode the first frame to upright 8-bit RGB and its transparency.

    Pixels are converted to sRGB; with `keep_profile` those of an image in an RGB space stay as
    they are and the profile of that space comes with them. `as_values` ignores every profile, for
    samples that are not colours. Deeper samples are scaled to 8 bits.
    Raises `InvalidImage` if the file is truncated or lies about itself.
    """
    header = read_header(data)
    if header.width * header.height > info.pixels:
        raise InvalidImage(
            "the {format} file holds more pixels than its header says", format=header.format
        )
    with declared_errors(header.format):
        samples = _DECODERS[header.format](header.bare(), header)
        colour = None if as_values else header.colour
        rgb, icc = convert(samples.colour, colour, keep_profile)
        rgb, alpha = _framed(rgb, samples.alpha, header)
        rgb = turn_upright(rgb, header.orientation)
        if alpha is not None:
            alpha = turn_upright(alpha, header.orientation)
    height, width = rgb.shape[:2]
    if (width, height) != (info.width, info.height):
        raise InvalidImage(
            "the {format} file's image does not have the size in its header", format=header.format
        )
    return SourceImage(info, rgb, alpha, icc)


def from_pillow(
    image: Image.Image, *, keep_profile: bool = False, as_values: bool = False
) -> SourceImage:
    """An image that is already decoded, by Pillow; `image` stays as it is. See `decode`.

    Raises `InvalidImage` for a mode that cannot be converted.
    """
    with declared_errors("Pillow"):
        samples = samples_of(image.copy())
        colour = None if as_values else _colour_of_pillow(image)
        rgb, icc = convert(samples.colour, colour, keep_profile)
        orientation = _orientation_of_pillow(image)
        rgb = turn_upright(rgb, orientation)
        alpha = None if samples.alpha is None else turn_upright(samples.alpha, orientation)
    height, width = rgb.shape[:2]
    return SourceImage(ImageInfo("pillow", width, height), rgb, alpha, icc)


def _colour_of_pillow(image: Image.Image) -> bytes | ColourSpace | None:
    profile, exif = image.info.get("icc_profile"), image.info.get("exif")
    if profile or not isinstance(exif, bytes) or image.format not in ("JPEG", "MPO"):
        return profile
    return colour_space_of(exif)


def _orientation_of_pillow(image: Image.Image) -> int:
    exif = image.info.get("exif")
    if isinstance(exif, bytes):
        return orientation_of(exif)
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:  # broken EXIF is no reason to refuse the image
        return 1
    return orientation if orientation in range(1, 9) else 1


def _framed(
    rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None, header: Header
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """The image that a viewer shows of the decoder's: on its canvas, or cropped."""
    if header.crop is not None:
        box = header.crop
        rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
        return rgb[rows, columns], None if alpha is None else alpha[rows, columns]
    if header.frame is None:
        return rgb, alpha
    box = header.frame
    rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
    canvas = np.zeros((header.height, header.width, 3), np.uint8)
    visible = np.zeros((header.height, header.width), np.uint8)
    canvas[rows, columns] = rgb
    visible[rows, columns] = 255 if alpha is None else alpha
    return canvas, visible


def _pillow(kind: type[ImageFile], data: bytes) -> Samples:
    image = kind(BytesIO(data))
    image.load()
    return samples_of(image)


def _jpeg(data: bytes, _: Header) -> Samples:
    """RGB pixels, three times faster than Pillow if the JPEG is of the usual kind."""
    try:
        _, _, colourspace, _ = simplejpeg.decode_jpeg_header(data)
        if colourspace == "YCbCr":
            return Samples(simplejpeg.decode_jpeg(_ended(data), colorspace="RGB"))
    except ValueError:  # libjpeg warned; Pillow decides whether the file is sound
        pass
    return _pillow(JpegImageFile, data)


def _ended(data: bytes) -> bytes:
    """A JPEG with the marker of its end, which some cameras leave out.

    Only a baseline JPEG whose one scan has all components: there libjpeg warns if anything else is
    missing.
    """
    frame, scan = data.find(_JPEG_BASELINE), data.find(_JPEG_SCAN)
    if _JPEG_END in data or frame < 0 or data.count(_JPEG_SCAN) != 1:
        return data
    components, scanned = data[frame + 9 : frame + 10], data[scan + 4 : scan + 5]
    return data + _JPEG_END if components == scanned else data


def _bmp(data: bytes, _: Header) -> Samples:
    if not is_run_length_encoded(data):
        samples = _pillow(BmpImageFile, data)
        unused = samples.alpha is not None and not samples.alpha.any()  # as screenshots have it
        return Samples(samples.colour) if unused else samples
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)  # Pillow's is in Python
    if pixels is None:
        raise ValueError("its runs are broken")
    return Samples(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8))


def _png(data: bytes, _: Header) -> Samples:
    image = PngImageFile(BytesIO(data))
    scale_transparency(image, data[_PNG_DEPTH])
    image.load()
    return samples_of(image)


def _heif(data: bytes, header: Header) -> Samples:
    is_hdr = isinstance(header.colour, ColourSpace) and header.colour.is_hdr
    image = pillow_heif.open_heif(data, convert_hdr_to_8bit=not is_hdr)
    if is_hdr and image.mode not in ("RGB;16", "RGBA;16"):
        image = pillow_heif.open_heif(data, convert_hdr_to_8bit=True)
    if image.mode not in ("RGB", "RGBA", "RGB;16", "RGBA;16"):
        shape = (image.mode, image.size, image.data, "raw", image.mode, image.stride)
        return samples_of(Image.frombytes(*shape))
    pixels = np.asarray(image)
    if pixels.shape[2] == 3:
        return Samples(pixels)
    alpha = np.ascontiguousarray(pixels[..., 3])
    eight_bits = alpha if alpha.dtype == np.uint8 else (alpha >> 8).astype(np.uint8)
    return Samples(np.ascontiguousarray(pixels[..., :3]), eight_bits)


_Decoder: TypeAlias = Callable[[bytes, Header], Samples]
_DECODERS: dict[str, _Decoder] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": lambda data, _: _pillow(WebPImageFile, data),
    "avif": lambda data, _: _pillow(AvifImageFile, data),
    "heif": _heif,
    "gif": lambda data, _: _pillow(GifImageFile, data),
    "bmp": _bmp,
    "tiff": lambda data, _: decode_tiff(data),
}
