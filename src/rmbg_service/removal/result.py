"""A cutout to the file that the options ask for, and the memory that this needs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from rmbg_service.errors import BeyondFormat
from rmbg_service.imaging import compose
from rmbg_service.imaging.cutout import Cutout, Shadow
from rmbg_service.imaging.encode import ENCODERS, LAYERS
from rmbg_service.imaging.png import write_grey
from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.types import Box, RgbImage


@dataclass(frozen=True)
class Encoded:
    """A finished file, and what is known about it.

    `box` is the subject's in the upright input picture, None if nothing was found. `full_size` is
    the width and height before `max_side` and `max_pixels`. `shadow` reports on the shadow, without
    the layer itself; None if none was asked for.
    """

    data: bytes
    format: str
    media_type: str
    width: int
    height: int
    full_size: tuple[int, int]
    box: Box | None
    confidence: float
    shadow: Shadow | None = None


def encode(
    cutout: Cutout, options: RemovalOptions, max_pixels: int, background: RgbImage | None = None
) -> Encoded:
    """Compose and write the file that `options` ask for, with at most `max_pixels`.

    Raises `BeyondFormat` for a side that the format cannot have.
    """
    composed, full_size = _arranged(cutout, options, max_pixels)
    width, height = composed.size
    if options.output == "layers":
        name, encoder = "zip", LAYERS
        data = encoder.write(composed, options.quality)
    elif options.output == "matte" and options.format in ("png", "auto"):
        name, encoder = "png", ENCODERS["png"]
        data = write_grey(composed.alpha)
    else:
        flat = _flattened(composed, options, background)
        name = options.format if options.format != "auto" else _auto_format(flat)
        encoder = ENCODERS[name]
        if max(flat.size) > encoder.max_side:
            raise BeyondFormat(
                f"{name} has at most {encoder.max_side} px a side, the result has {width} x "
                f"{height}: choose another format or a smaller size"
            )
        data = encoder.write(flat, options.quality)
    return Encoded(
        data,
        name,
        encoder.media_type,
        width,
        height,
        full_size,
        box=cutout.box,
        confidence=round(cutout.confidence, 4),
        shadow=composed.shadow and replace(composed.shadow, alpha=None),
    )


def background_pixels(source: SourceImage) -> RgbImage:
    """The pixels of a background picture, on white where it is transparent."""
    if source.alpha is None:
        return source.rgb
    return compose.on_colour(Cutout(source.rgb, source.alpha), compose.WHITE).rgb


def _arranged(
    cutout: Cutout, options: RemovalOptions, max_pixels: int
) -> tuple[Cutout, tuple[int, int]]:
    """The cutout cropped or placed and limited in size, and its size before the limits."""
    full_size = cutout.size
    if options.crop:
        margin = options.margin.value
        most = min(max_pixels, options.max_pixels or max_pixels)
        full_size = compose.fit(*compose.crop_size(cutout, margin), max_pixels)
        cutout = compose.crop(cutout, margin, most)
        full_size = cutout.size if most == max_pixels else full_size
    if options.placed:
        position = None if options.position is None else options.position.value
        cutout = compose.place(cutout, options.scale.value, position)
    if options.max_side is not None:
        cutout = compose.limit_side(cutout, options.max_side)
    if options.max_pixels is not None:
        cutout = compose.limit_pixels(cutout, options.max_pixels)
    return cutout, full_size


def _flattened(cutout: Cutout, options: RemovalOptions, background: RgbImage | None) -> Cutout:
    """One layer: the cutout on its shadow and background, or the matte as a grey picture."""
    if options.output == "matte":
        grey = cv2.merge([cutout.alpha] * 3).astype(np.uint8, copy=False)
        return Cutout(grey, np.full_like(cutout.alpha, 255))
    if background is not None:
        cutout = compose.on_picture(cutout, background)
    elif options.background is not None:
        cutout = compose.on_colour(cutout, options.background.value)
    if options.format != "auto" and not ENCODERS[options.format].keeps_alpha:
        cutout = compose.on_colour(cutout, compose.WHITE)
    return cutout.with_shadow()


def _auto_format(cutout: Cutout) -> str:
    return "jpeg" if cutout.alpha.min() == 255 else "png"


def reserved_pixels(
    info: ImageInfo, attached: Iterable[ImageInfo], options: RemovalOptions, max_pixels: int
) -> int:
    """What a job takes from the budget: the picture's pixels, or those of a larger result.

    Those of the `attached` pictures are added. `max_pixels` bounds the result, as in `encode`. A
    format whose writer needs more memory counts double, and so does a subject that is moved on its
    canvas.
    """
    width, height = info.width, info.height
    pixels = info.pixels
    if options.crop:
        width, height = compose.with_margin(width, height, options.margin.value)
        pixels = max(pixels, min(width * height, max_pixels))
    factor = 2 if options.placed else 1
    if options.format != "auto":
        encoder = ENCODERS[options.format]
        factor = max(factor, encoder.memory)
        pixels += _border(width, height, encoder.border_px)
    return pixels * factor + sum(further.pixels for further in attached)


def _border(width: int, height: int, border_px: int) -> int:
    """Pixels of a border around a picture: most of what an encoder holds of a narrow one."""
    return (width + 2 * border_px) * (height + 2 * border_px) - width * height
