"""What a file's header says, before any decoder sees the file."""

import math
from collections.abc import Callable

from rmbg_service.errors import EmptyImage, ImageTooLarge, UnknownFormat
from rmbg_service.imaging.formats.bmp import read_bmp
from rmbg_service.imaging.formats.gif import read_gif
from rmbg_service.imaging.formats.header import Header, declared_errors
from rmbg_service.imaging.formats.heif import read_heif
from rmbg_service.imaging.formats.jpeg import read_jpeg
from rmbg_service.imaging.formats.png import SIGNATURE, read_png
from rmbg_service.imaging.formats.tiff import read_tiff
from rmbg_service.imaging.formats.webp import read_webp
from rmbg_service.imaging.source import ImageInfo
from rmbg_service.messages import Message

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "BMP", "TIFF")
"""The formats that input may have."""

_READERS: tuple[tuple[str, int, tuple[bytes, ...], Callable[[bytes], Header]], ...] = (
    ("jpeg", 0, (b"\xff\xd8\xff",), read_jpeg),
    ("png", 0, (SIGNATURE,), read_png),
    ("webp", 8, (b"WEBPVP8",), read_webp),
    ("avif or heif", 4, (b"ftyp",), read_heif),
    ("gif", 0, (b"GIF87a", b"GIF89a"), read_gif),
    ("tiff", 0, (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), read_tiff),
    ("bmp", 0, (b"BM",), read_bmp),
)
"""Name of a format, where its signature lies, the signatures, and what reads its header."""


_THE_IMAGE = Message("the image")


def probe(data: bytes, max_pixels: int, max_side: int | None = None) -> ImageInfo:
    """Read the header of an image file.

    No decoder runs: the file's parts are counted, and those that decide what decoding costs are
    bounded. Raises `InvalidImage` for a file that is not of an accepted format, is damaged or
    costs too much, and `ImageTooLarge` for more than `max_pixels` or a side above `max_side`.
    """
    header = read_header(data)
    width, height = header.width, header.height
    if width == 0 or height == 0:
        raise EmptyImage("the image has no pixels")
    require_accepted_size((width, height), max_pixels, max_side)
    if header.orientation >= 5:
        width, height = height, width
    return ImageInfo(header.format, width, height, header.animated)


def require_accepted_size(
    size: tuple[int, ...],
    max_pixels: int,
    max_side: int | None = None,
    what: Message = _THE_IMAGE,
) -> None:
    """Raise `ImageTooLarge` for more than `max_pixels` or a side above `max_side`."""
    found = " x ".join(map(str, size))
    if math.prod(size) > max_pixels:
        raise ImageTooLarge(
            "{what} has {size} pixels; at most {most:,} are accepted",
            what=what,
            size=found,
            most=max_pixels,
        )
    if max_side is not None and max(size) > max_side:
        raise ImageTooLarge(
            "{what} has {size} pixels; a side may have at most {most:,}",
            what=what,
            size=found,
            most=max_side,
        )


def read_header(data: bytes) -> Header:
    """The header of an image file of an accepted format. Raises `InvalidImage`."""
    for name, position, signatures, read in _READERS:
        if data.startswith(signatures, position):
            with declared_errors(name):
                return read(data)
    accepted = ", ".join(FORMATS)
    raise UnknownFormat("not a readable image; accepted formats: {accepted}", accepted=accepted)
