"""A finished cutout to the bytes of a file; one row of ENCODERS for each format."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rmbg_service.imaging.cutout import Cutout
from rmbg_service.imaging.png import write_grey, write_rgba
from rmbg_service.imaging.tiling import tiles

_SPREAD_PX = 16  # a macroblock of the widest format
_NOTHING = np.float32(1e-6)


@dataclass(frozen=True)
class Encoder:
    """How to write one format. `write(cutout, quality)` gives the file's bytes.

    A `lossy` one gets smaller with less quality. `max_side` is the longest side in px that the
    format can have. `memory` is how much its writer needs, as a multiple of what a picture
    reserves, with `border_px` around each picture. A `layered` one writes shadow and background as
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
    return _save(_rgba(_hide(cutout)), "WEBP", cutout.icc, lossless=True, quality=0, method=0)


def _webp_lossy(cutout: Cutout, quality: int) -> bytes:
    return _save(_rgba(_spread(cutout)), "WEBP", cutout.icc, quality=quality, method=2)


def _avif(cutout: Cutout, quality: int) -> bytes:
    return _save(_rgba(_spread(cutout)), "AVIF", cutout.icc, quality=quality, speed=8)


def _jpeg(cutout: Cutout, quality: int) -> bytes:
    return _save(Image.fromarray(cutout.rgb), "JPEG", cutout.icc, quality=quality)


def _zip(cutout: Cutout, quality: int) -> bytes:
    """`color.jpg`, the colours on their own, and `alpha.png`; together the cutout, and small."""
    return _archive(
        {"color.jpg": _jpeg(_spread(cutout), quality), "alpha.png": write_grey(cutout.alpha)}
    )


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

    return write_psd(_spread(cutout))


def _archive(files: dict[str, bytes]) -> bytes:
    """A zip of them without a time, so that equal cutouts are equal files."""
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(ZipInfo(name), data)
    return buffer.getvalue()


LAYERS = Encoder("application/zip", "zip", True, _layers, memory=2)

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


def _rgba(cutout: Cutout) -> Image.Image:
    return Image.fromarray(np.dstack([cutout.rgb, cutout.alpha]))


def _hide(cutout: Cutout) -> Cutout:
    """The cutout with RGB 0 wherever alpha is 0."""
    visible = cv2.threshold(cutout.alpha, 0, 255, cv2.THRESH_BINARY)[1]
    rgb = cv2.bitwise_and(cutout.rgb, cutout.rgb, mask=visible).astype(np.uint8, copy=False)
    return replace(cutout, rgb=rgb)


def _spread(cutout: Cutout) -> Cutout:
    """The cutout with the colours of its edge a little beyond it, and RGB 0 further out.

    Lossy formats share colours between neighbours: zeros beside the edge would darken it. The
    continued colour is a mean of the visible ones, weighted by alpha. Works in tiles, so that
    memory stays small.
    """
    rgb = np.zeros_like(cutout.rgb)
    for tile in tiles(cutout.alpha.shape):
        rows, columns = tile
        around = (
            slice(max(0, rows.start - _SPREAD_PX), rows.stop + _SPREAD_PX),
            slice(max(0, columns.start - _SPREAD_PX), columns.stop + _SPREAD_PX),
        )
        if not cutout.alpha[around].any():
            continue
        rgb[tile] = cutout.rgb[tile]
        hidden = cv2.inRange(cutout.alpha[tile], 0, 0)
        if hidden.any():
            mean = _visible_mean(cutout.rgb[around], cutout.alpha[around])
            mean = mean[rows.start - around[0].start :, columns.start - around[1].start :]
            cv2.copyTo(mean[: hidden.shape[0], : hidden.shape[1]], hidden, rgb[tile])
    return replace(cutout, rgb=rgb)


def _visible_mean(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The mean of the visible colours around each pixel, 0 if none is visible."""
    side = 2 * _SPREAD_PX + 1
    weights = cv2.merge([alpha.astype(np.float32)] * 3)
    sums, total = (
        cv2.blur(plane, (side, side), borderType=cv2.BORDER_CONSTANT)
        for plane in (rgb * weights, weights)
    )
    return (sums / np.maximum(total, _NOTHING) + 0.5).astype(np.uint8)


def _save(image: Image.Image, kind: str, icc: bytes | None, **options: Any) -> bytes:
    if icc is not None:
        options["icc_profile"] = icc
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
