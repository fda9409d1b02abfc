"""The header of a BMP file."""

import struct

from rmbg_service.imaging.formats.header import Header

_CORE_HEADER = 12
_RLE = (1, 2)


def read_bmp(data: bytes) -> Header:
    """Read a BMP file's header."""
    (size,) = struct.unpack_from("<I", data, 14)
    if size == _CORE_HEADER:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    return Header("bmp", max(width, 0), abs(height), lambda: data)


def is_run_length_encoded(data: bytes) -> bool:
    """Whether a BMP file's pixels are compressed."""
    (size, compression) = struct.unpack_from("<I12xI", data, 14)
    return size != _CORE_HEADER and compression in _RLE
