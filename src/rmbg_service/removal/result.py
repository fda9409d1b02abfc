"""A cutout to the file that the options ask for, and the memory that this needs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from rmbg_service.errors import BeyondFormat, TooManyBytes
from rmbg_service.imaging import compose
from rmbg_service.imaging.cutout import Cutout, Shadow
from rmbg_service.imaging.encode import ENCODERS, LAYERS, MATTE, Encoder
from rmbg_service.imaging.layout import Frame, crop_layout, fit, frame_layout, with_margin
from rmbg_service.imaging.probe import require_accepted_size
from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.messages import Message
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.shadows.painted import with_shadow
from rmbg_service.types import Box, RgbImage


@dataclass(frozen=True)
class Placement:
    """How the subject is placed on its canvas.

    `fill` is the fraction of the canvas that it spans with its shadow along the tighter axis.
    `factor` scales input pixels to result pixels. `limited` says that it would have to be enlarged
    to fill what was asked for.
    """

    fill: float
    factor: float
    limited: bool


@dataclass(frozen=True)
class Encoded:
    """A finished file, and what is known about it.

    `box` is the subject's in the upright input image, None if nothing was found. `full_size` is
    the width and height before `max_side` and `max_pixels`. `shadow` reports on the shadow, without
    the layer itself; None if none was asked for. `placement` is None unless the options place the
    subject on a canvas. `further` are files of the same cutout for further options.
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
    placement: Placement | None = None
    further: Sequence["Encoded"] = ()


def encode(
    cutout: Cutout,
    options: RemovalOptions,
    max_pixels: int,
    background: RgbImage | None = None,
    check: Callable[[], None] = lambda: None,
) -> Encoded:
    """Compose and write the file that `options` ask for, with at most `max_pixels`.

    `check` is called before the file is written again; what it raises ends the work. Raises
    `BeyondFormat` for a side that the format cannot have, and `TooManyBytes`.
    """
    composed, full_size, placement = _arranged(cutout, options, max_pixels)
    width, height = composed.size
    final = composed
    if options.output == "layers":
        name, encoder = "zip", LAYERS
    elif options.output == "matte" and options.format in ("png", "auto"):
        name, encoder = "png", MATTE
    else:
        final = _finished(composed, options, background)
        name = options.format if options.format != "auto" else _auto_format(final)
        encoder = ENCODERS[name]
    if max(final.size) > encoder.max_side:
        raise BeyondFormat(
            "{format} has at most {most} px a side, the result has {width} x {height}: choose "
            "another format or a smaller size",
            format=name,
            most=encoder.max_side,
            width=width,
            height=height,
        )
    data = encoder.write(final, options.quality)
    if options.max_bytes is not None and len(data) > options.max_bytes:
        data = _smaller(final, encoder, name, options.quality, options.max_bytes, check)
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
        placement=placement,
    )


def _smaller(
    cutout: Cutout,
    encoder: Encoder,
    name: str,
    quality: int,
    max_bytes: int,
    check: Callable[[], None],
) -> bytes:
    """The file at the best quality below `quality` at which it has at most `max_bytes`.

    Bisects: at most 7 files are written. Raises `TooManyBytes` if there is none.
    """
    if not encoder.lossy:
        raise TooManyBytes(
            "expected at most {most:,} bytes, but this image takes more as {format}, which is "
            "lossless: choose jpeg, webp-lossy or avif, or a smaller size",
            most=max_bytes,
            format=name,
        )
    best = None
    low, high = 1, quality - 1
    while low <= high:
        middle = (low + high) // 2
        check()
        data = encoder.write(cutout, middle)
        if len(data) <= max_bytes:
            best, low = data, middle + 1
        else:
            high = middle - 1
    if best is None:
        raise TooManyBytes(
            "expected at most {most:,} bytes, but this image takes more as {format} even at "
            "quality 1: choose a smaller size",
            most=max_bytes,
            format=name,
        )
    return best


def background_pixels(source: SourceImage) -> RgbImage:
    """The pixels of a background image, on white where it is transparent."""
    if source.alpha is None:
        return source.rgb
    return compose.on_colour(Cutout(source.rgb, source.alpha), compose.WHITE).rgb


def _arranged(
    cutout: Cutout, options: RemovalOptions, max_pixels: int
) -> tuple[Cutout, tuple[int, int], Placement | None]:
    """The cutout laid out and limited in size, its size before the limits, and where it lies."""
    full_size, layout = cutout.size, None
    box = cutout.extent
    if options.crop and box is not None:
        margin = options.margin.value
        most = min(max_pixels, options.max_pixels or max_pixels)
        full_size = fit(*with_margin(box.width, box.height, margin), max_pixels)
        layout = crop_layout(box, margin, most)
        full_size = (layout.width, layout.height) if most == max_pixels else full_size
    elif options.placed:
        layout = frame_layout(_frame(options), cutout.size, box, max_pixels)
        full_size = layout.width, layout.height
    if layout is not None:
        cutout = compose.draw(cutout, layout)
    if options.max_side is not None:
        cutout = compose.limit_side(cutout, options.max_side)
    if options.max_pixels is not None:
        cutout = compose.limit_pixels(cutout, options.max_pixels)
    if layout is None or options.crop:
        return cutout, full_size, None
    factor = layout.factor * cutout.size[0] / layout.width
    return cutout, full_size, Placement(layout.fill, factor, layout.limited)


def _frame(options: RemovalOptions) -> Frame:
    return Frame(
        options.canvas.value,
        options.scale.value,
        None if options.position is None else options.position.value,
        options.upscale,
        options.min_side,
    )


def _finished(cutout: Cutout, options: RemovalOptions, background: RgbImage | None) -> Cutout:
    """The cutout with its background, or the matte as a grey image.

    Subject, shadow and background are one layer unless the format has layers.
    """
    if options.output == "matte":
        grey = cv2.merge([cutout.alpha] * 3).astype(np.uint8, copy=False)
        return Cutout(grey, np.full_like(cutout.alpha, 255))
    backdrop = None
    if background is not None:
        backdrop = compose.image_backdrop(cutout, background)
    elif options.background is not None:
        backdrop = compose.plain_backdrop(cutout, options.background.value)
    if options.format != "auto" and ENCODERS[options.format].layered:
        return replace(cutout, backdrop=backdrop)
    if backdrop is not None:
        cutout = compose.over(cutout, backdrop)
    if options.format != "auto" and not ENCODERS[options.format].keeps_alpha:
        cutout = compose.on_colour(cutout, compose.WHITE)
    return cutout.with_shadow()


def _auto_format(cutout: Cutout) -> str:
    return "jpeg" if cutout.alpha.min() == 255 else "png"


def encoder_of(options: RemovalOptions) -> Encoder:
    """The encoder of the file, if `format` is not `auto`."""
    return LAYERS if options.output == "layers" else ENCODERS[options.format]


def reserved_pixels(
    info: ImageInfo, attached: Iterable[ImageInfo], options: RemovalOptions, max_pixels: int
) -> int:
    """What a job takes from the budget: the image's pixels, or those of a larger result.

    Those of the `attached` images are added. `max_pixels` bounds the result, as in `encode`. A
    format whose writer needs more memory counts double, and so does a subject that is moved on its
    canvas.
    """
    width, height = _largest_size(info, options, max_pixels)
    pixels = max(info.pixels, width * height)
    factor = 2 if options.placed else 1
    if options.format != "auto":
        encoder = encoder_of(options)
        factor = max(factor, encoder.memory)
        pixels += _border(width, height, encoder.border_px)
    return pixels * factor + sum(further.pixels for further in attached)


def require_accepted_canvas(options: RemovalOptions, max_pixels: int) -> None:
    """Raise `ImageTooLarge` for a canvas of more than `max_pixels`."""
    canvas = options.canvas.value
    if canvas is not None and not canvas.relative:
        size = int(canvas.width), int(canvas.height)
        require_accepted_size(size, max_pixels, what=Message("the canvas"))


def _largest_size(info: ImageInfo, options: RemovalOptions, max_pixels: int) -> tuple[int, int]:
    """The size that the result of an image can have: the subject may be all of the image."""
    width, height = info.width, info.height
    if not options.crop and not options.placed:
        return width, height
    if options.shadow in ("drop", "auto"):
        width, height = with_shadow(width, height, options.shadow_angle, options.shadow_softness)
    if options.crop:
        return fit(*with_margin(width, height, options.margin.value), max_pixels)
    box = Box(0, 0, width, height)
    layout = frame_layout(_frame(options), (info.width, info.height), box, max_pixels)
    return layout.width, layout.height


def _border(width: int, height: int, border_px: int) -> int:
    """Pixels of a border around an image: most of what an encoder holds of a narrow one."""
    return (width + 2 * border_px) * (height + 2 * border_px) - width * height
