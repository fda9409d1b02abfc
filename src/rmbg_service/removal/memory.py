"""How much memory one removal needs, counted in pixels of a plain picture."""

from rmbg_service.imaging import compose
from rmbg_service.imaging.encode import ENCODERS
from rmbg_service.imaging.source import ImageInfo
from rmbg_service.removal.options import RemovalOptions


def reserved_pixels(
    info: ImageInfo, background: ImageInfo | None, options: RemovalOptions, max_pixels: int
) -> int:
    """What a job takes from the budget: the picture's pixels, or those of a larger result.

    A background picture is added. `max_pixels` bounds the result, as in `encode`. A format whose
    writer needs more memory counts double, and so does a subject that is moved on its canvas.
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
    return pixels * factor + (0 if background is None else background.pixels)


def _border(width: int, height: int, border_px: int) -> int:
    """Pixels of a border around a picture: most of what an encoder holds of a narrow one."""
    return (width + 2 * border_px) * (height + 2 * border_px) - width * height
