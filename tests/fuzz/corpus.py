"""Sound files of every format and of many kinds, to be damaged."""

import io
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image, PngImagePlugin

from tests import icc
from tests.hostile.images import chunk, png_with, ramp, saved, tiff_with_stream

_SIZE = (48, 32)


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "a description"
    return exif.tobytes()


def _heif(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, **options)
    return buffer.getvalue()


def corpus() -> dict[str, bytes]:
    """Name to file."""
    rgb = ramp(*_SIZE)
    rgba = rgb.copy()
    rgba.putalpha(Image.linear_gradient("L").resize(_SIZE))
    grey, cmyk = rgb.convert("L"), rgb.convert("CMYK")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    frames = [rgb.rotate(angle) for angle in (90, 180)]
    several: dict[str, Any] = {"save_all": True, "append_images": frames}
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{12:8}\n{_exif(6).hex()}\n", zip=True)
    return {
        "jpeg": saved(rgb, "JPEG", exif=_exif(6), icc_profile=icc.rgb_profile()),
        "jpeg-progressive": saved(rgb, "JPEG", progressive=True),
        "jpeg-grey": saved(grey, "JPEG"),
        "jpeg-cmyk": saved(cmyk, "JPEG", icc_profile=icc.cmyk_profile()),
        "mpo": saved(rgb, "MPO", **several),
        "png": saved(rgba, "PNG", exif=_exif(3), icc_profile=icc.rgb_profile()),
        "png-palette": saved(rgb.quantize(16), "PNG", transparency=3),
        "png-deep": saved(deep, "PNG"),
        "png-text": saved(rgb, "PNG", pnginfo=text),
        "png-colours": png_with(chunk(b"cICP", bytes((9, 16, 0, 1))), chunk(b"gAMA", bytes(4))),
        "apng": saved(rgb, "PNG", **several),
        "webp": saved(rgb, "WEBP", exif=_exif(8), icc_profile=icc.rgb_profile()),
        "webp-alpha": saved(rgba, "WEBP"),
        "webp-lossless": saved(rgba, "WEBP", lossless=True),
        "webp-animated": saved(rgb, "WEBP", **several),
        "avif": saved(rgb, "AVIF", exif=_exif(5)),
        "avif-alpha": saved(rgba, "AVIF", icc_profile=icc.rgb_profile()),
        "avif-animated": saved(rgb, "AVIF", **several),
        "heif": _heif(rgb),
        "heif-alpha": _heif(rgba),
        "gif": saved(rgb.quantize(16), "GIF"),
        "gif-animated": saved(rgb.quantize(16), "GIF", **several),
        "bmp": saved(rgb, "BMP"),
        "tiff": saved(rgb, "TIFF", exif=_exif(7), icc_profile=icc.rgb_profile()),
        "tiff-lzw": saved(rgba, "TIFF", compression="tiff_lzw"),
        "tiff-deflate": saved(deep, "TIFF", compression="tiff_adobe_deflate"),
        "tiff-jpeg": tiff_with_stream(saved(grey, "JPEG"), 7, *_SIZE),
        "tiff-webp": tiff_with_stream(saved(rgb, "WEBP"), 50001, *_SIZE),
        "tiff-fax": saved(rgb.convert("1"), "TIFF", compression="group4"),
        "tiff-palette": saved(rgb.quantize(16), "TIFF"),
        "tiff-cmyk": saved(cmyk, "TIFF", compression="packbits"),
    }
