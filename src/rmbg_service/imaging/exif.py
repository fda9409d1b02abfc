"""Orientation and colour space from EXIF, read without a parser that other tags could upset."""

import struct
from collections.abc import Mapping

from rmbg_service.imaging.colour_space import ADOBE_RGB, ColourSpace

ORIENTATION = 0x0112
_EXIF, _INTEROPERABILITY = 0x8769, 0xA005  # where further directories are
_COLOUR_SPACE, _INTEROPERABILITY_INDEX = 0xA001, 0x0001
_SRGB = 1
_ADOBE_RGB_FILE = b"R03\0"
_MAX_ENTRIES = 1_000
_INTEGERS = {1: "B", 3: "H", 4: "I"}  # of EXIF's types: BYTE, SHORT, LONG
_ASCII = 2


def orientation_of(exif: bytes) -> int:
    """The orientation, 1 to 8, of a TIFF-structured EXIF block; 1 if it has none that is valid."""
    value = _directory(exif).get(ORIENTATION)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def colour_space_of(exif: bytes) -> ColourSpace | None:
    """Adobe RGB if the block names it; None for sRGB, which all others count as.

    Cameras that are set to Adobe RGB write no profile: they say that the colours are not sRGB, and
    that the file is an optional one by the rule `R03` (DCF 2.0, Exif 2.32).
    """
    if _directory(exif, _EXIF).get(_COLOUR_SPACE) == _SRGB:
        return None
    rule = _directory(exif, _EXIF, _INTEROPERABILITY).get(_INTEROPERABILITY_INDEX)
    return ADOBE_RGB if rule == _ADOBE_RGB_FILE else None


def _directory(exif: bytes, *path: int) -> Mapping[int, int | bytes]:
    """The first directory, or the one that the tags of `path` lead to; empty if there is none."""
    start = 6 if exif[:4] == b"Exif" else 0
    order = {b"II": "<", b"MM": ">"}.get(exif[start : start + 2])
    if order is None or len(exif) < start + 8:
        return {}
    (position,) = struct.unpack_from(order + "I", exif, start + 4)
    for tag in path:
        position = _values(exif, start, order, position).get(tag)
        if not isinstance(position, int):
            return {}
    return _values(exif, start, order, position)


def _values(exif: bytes, start: int, order: str, position: int) -> dict[int, int | bytes]:
    """The values of a directory that its entries hold themselves, up to where it is broken."""
    values: dict[int, int | bytes] = {}
    directory = start + position
    try:
        (count,) = struct.unpack_from(order + "H", exif, directory)
        for entry in range(directory + 2, directory + 2 + 12 * min(count, _MAX_ENTRIES), 12):
            tag, kind = struct.unpack_from(order + "HH", exif, entry)
            if kind in _INTEGERS:
                values.setdefault(
                    tag, *struct.unpack_from(order + _INTEGERS[kind], exif, entry + 8)
                )
            elif kind == _ASCII:
                values.setdefault(tag, exif[entry + 8 : entry + 12])
    except struct.error:
        pass
    return values
