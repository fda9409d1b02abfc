"""What every reader of a file's structure returns, and the bounds that they share."""

import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rmbg_service.errors import InvalidImage, RmbgError
from rmbg_service.imaging.colour_space import ColourSpace
from rmbg_service.messages import Message
from rmbg_service.system.memory_errors import as_memory_error
from rmbg_service.types import Box

MAX_PARTS = 65_536
"""Segments, chunks or boxes of a file; a real one has hundreds, large PNGs some thousands."""
MAX_PROFILE_BYTES = 8_000_000
"""The largest ICC profile that is used; a larger one counts as broken."""


class Parts:
    """Counts down the parts of a file, those of all its streams together."""

    def __init__(self, most: int = MAX_PARTS) -> None:
        self._left = most

    def count(self, parts: int = 1) -> None:
        """Count `parts` more. Raises `InvalidImage` when there are too many."""
        self._left -= parts
        if self._left < 0:
            raise InvalidImage("the file has too many parts")


@dataclass(frozen=True)
class Header:
    """What a file's own structure says of its first image; no decoder has seen the file.

    `width` and `height` are those that the decoder will give; `orientation` (1 to 8, as EXIF
    counts) turns its image upright. `colour` is an ICC profile, a colour space that the file
    names by code points, or None for sRGB.
    `bare` makes the file that the decoder is given: the first image without metadata. `frame` is
    the part of the image that this file fills, if not all; the rest is transparent.
    `crop` is the part of the decoder's image that is meant to be seen.
    """

    format: str
    width: int
    height: int
    bare: Callable[[], bytes]
    orientation: int = 1
    animated: bool = False
    colour: bytes | ColourSpace | None = None
    frame: Box | None = None
    crop: Box | None = None


@contextmanager
def declared_errors(kind: str) -> Iterator[None]:
    """Turn whatever a decoder raises on hostile bytes into `InvalidImage`.

    Our own errors and `MemoryError` pass.
    """
    try:
        with as_memory_error():
            yield
    except (RmbgError, MemoryError):
        raise
    except (struct.error, IndexError, EOFError, OverflowError):  # the last from 64-bit positions
        raise InvalidImage("the {format} file is cut short or damaged", format=kind) from None
    except Exception as error:
        reason = re.sub(r"\bb(['\"])", r"\1", str(error)) or Message("its data is damaged")
        raise InvalidImage(
            "the {format} file cannot be decoded: {reason}", format=kind, reason=reason
        ) from None
