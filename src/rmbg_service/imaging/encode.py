"""A finished cutout to the bytes of a file; one row of ENCODERS for each format."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from PIL import Image

from rmbg_service.imaging.bleed import extend_colours
from rmbg_service.imaging.cutout import Cutout
from rmbg_service.imaging.png import write_grey, write_rgba

_FULL_COLOUR_QUALITY = 90
"""From here on, a JPEG has colours for every pixel, not for four together, which blur at edges.

Below, a higher quality is the better use of the bytes.
"""

_LARGE_AVIF_PIXELS = 12_000_000
"""Above this, AVIF is written at speed 9: noise, which takes longest, takes a third of the time."""


@dataclass(frozen=True)
class Encoder:
    """How to write one format. `write(cutout, quality)` gives the file's bytes.

    A `lossy` one gets smaller with less quality. `max_side` is the longest side in px that the
    format can have. `memory` is how much its writer needs, as a multiple of what an image
    reserves, with `border_px` around each image. A `layered` one writes shadow and background as
    layers; the others have only one, into which those are merged before.
    """

    media_type: str
    extension: str
    keeps_alpha: bool
    write: Callable[[Cutout, int], bytes]
    lossy: bool = False
    max_side: int = 2**31 - 1
    memory: int = 1
    border_px: int = 0
    layered: bool = False


def _png(cutout: Cutout, _: int) -> bytes:
    return cutout.png()


def _webp(cutout: Cutout, _: int) -> bytes:
    return _save(
        Image.fromarray(cutout.rgba()), "WEBP", cutout.icc, lossless=True, quality=0, method=0
    )


def _webp_lossy(cutout: Cutout, quality: int) -> bytes:
    return _save(_with_extended_colours(cutout), "WEBP", cutout.icc, quality=quality, method=2)


def _avif(cutout: Cutout, quality: int) -> bytes:
    # A lossy alpha has holes in the subject and a haze around it. `a:` is aom's option for alpha.
    exact = {"codec": "aom", "advanced": {"a:lossless": "1"}}
    image = _with_extended_colours(cutout)
    speed = 9 if cutout.alpha.size > _LARGE_AVIF_PIXELS else 8
    return _save(image, "AVIF", cutout.icc, quality=quality, speed=speed, **exact)


def _jpeg(cutout: Cutout, quality: int) -> bytes:
    subsampling = "4:4:4" if quality >= _FULL_COLOUR_QUALITY else "4:2:0"
    image = Image.fromarray(cutout.rgb)
    return _save(image, "JPEG", cutout.icc, quality=quality, subsampling=subsampling)


def _zip(cutout: Cutout, quality: int) -> bytes:
    """`color.jpg`, the colours on their own, and `alpha.png`; together the cutout, and small."""
    colours = replace(cutout, rgb=extend_colours(cutout.rgb, cutout.alpha))
    return _archive({"color.jpg": _jpeg(colours, quality), "alpha.png": write_grey(cutout.alpha)})


def _layers(cutout: Cutout, _: int) -> bytes:
    """`foreground.png`, `shadow.png` and `matte.png`; the first over the second is the cutout."""
    shadow = cutout.shadow_alpha
    if shadow is None:
        shadow = np.zeros_like(cutout.alpha)
    black = np.broadcast_to(np.uint8(0), cutout.rgb.shape)
    return _archive(
        {
            "foreground.png": write_rgba(cutout.rgb, cutout.alpha, cutout.icc),
            "shadow.png": write_rgba(black, shadow, cutout.icc),
            "matte.png": write_grey(cutout.alpha),
        }
    )


def _psd(cutout: Cutout, _: int) -> bytes:
    from rmbg_service.imaging.psd import write_psd  # 0.1 s, and seldom needed

    return write_psd(replace(cutout, rgb=extend_colours(cutout.rgb, cutout.alpha)))


def _archive(files: dict[str, bytes]) -> bytes:
    """A zip of them without a time, so that equal cutouts are equal files."""
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(ZipInfo(name), data)
    return buffer.getvalue()


LAYERS = Encoder("application/zip", "zip", True, _layers, memory=2)
MATTE = Encoder("image/png", "png", False, lambda cutout, _: write_grey(cutout.alpha))

ENCODERS = {
    "png": Encoder("image/png", "png", True, _png),
    "webp": Encoder("image/webp", "webp", True, _webp, max_side=16_383, memory=2),
    "webp-lossy": Encoder("image/webp", "webp", True, _webp_lossy, True, 16_383, memory=2),
    "avif": Encoder("image/avif", "avif", True, _avif, True, 65_536, memory=2, border_px=160),
    "jpeg": Encoder("image/jpeg", "jpg", False, _jpeg, True, 65_500),
    "zip": Encoder("application/zip", "zip", True, _zip, True, 65_500),
    "psd": Encoder(
        "image/vnd.adobe.photoshop", "psd", True, _psd, max_side=30_000, memory=3, layered=True
    ),
}


def _with_extended_colours(cutout: Cutout) -> Image.Image:
    return Image.fromarray(np.dstack([extend_colours(cutout.rgb, cutout.alpha), cutout.alpha]))


def _save(image: Image.Image, kind: str, icc: bytes | None, **options: Any) -> bytes:
    if icc is not None:
        options["icc_profile"] = icc
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
