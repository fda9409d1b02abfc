"""The header of a BMP file."""

import struct

from rmbg_service.errors import InvalidImage
from rmbg_service.imaging.formats.header import Header

_CORE_HEADER = 12
_RLE = (1, 2)
_MAX_RLE_BYTES = 2_000_000  # Pillow unpacks them one by one in Python


def read_bmp(data: bytes) -> Header:
    """Read a BMP file's header."""
    (size,) = struct.unpack_from("<I", data, 14)
    if size == _CORE_HEADER:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
        (compression,) = struct.unpack_from("<I", data, 30)
        if compression in _RLE and len(data) > _MAX_RLE_BYTES:
            raise InvalidImage("run-length encoded bmp files above 2 MB are not supported")
    return Header("bmp", max(width, 0), abs(height), lambda: data)
