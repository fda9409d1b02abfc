"""The structure of a WebP file (RFC 9649)."""

import struct
from collections.abc import Iterator

from rmbg_service.errors import InvalidImage
from rmbg_service.imaging.exif import orientation_of
from rmbg_service.imaging.formats.header import MAX_PROFILE_BYTES, Header, Parts

_START = 12
_IMAGE = (b"ALPH", b"VP8 ", b"VP8L")
_METADATA_FLAGS = 0x20 | 0x08 | 0x04  # ICC, EXIF, XMP


def read_webp(data: bytes, parts: Parts | None = None) -> Header:
    """Read the chunks of a WebP file; the decoder is given its first frame alone.

    `parts` counts those of other streams of the same file; the EXIF of such a stream is not read.
    """
    is_stream = parts is not None
    kept: list[bytes | memoryview] = []
    side: dict[bytes, memoryview] = {}
    frames = 0
    size: tuple[int, int] | None = None
    dropped = False
    for name, content, whole in _chunks(data, parts or Parts()):
        if name == b"VP8X" and not kept:
            size = _u24(content, 4) + 1, _u24(content, 7) + 1
            flags = bytes((content[0] & ~_METADATA_FLAGS & 0xFF,))
            kept.append(b"".join((whole[:8], flags, whole[9:])))
            continue
        frames += name == b"ANMF"
        if name in (*_IMAGE, b"ANIM") or (name == b"ANMF" and frames == 1):
            kept.append(whole)
            size = size or _size_of(name, content)
        else:
            dropped = True
            side.setdefault(name, content)
    if size is None:
        raise InvalidImage("the webp file has no image")
    body = sum(map(len, kept))
    riff = b"RIFF" + struct.pack("<I", body + 4) + b"WEBP"
    icc = side.get(b"ICCP", b"")
    return Header(
        "webp",
        *size,
        lambda: b"".join((riff, *kept)) if dropped else data,
        1 if is_stream else orientation_of(bytes(side.get(b"EXIF", b""))),
        animated=frames > 1,
        colour=bytes(icc) if 0 < len(icc) <= MAX_PROFILE_BYTES else None,
    )


def _chunks(data: bytes, parts: Parts) -> Iterator[tuple[bytes, memoryview, memoryview]]:
    """Name, content and whole of each chunk, the last one perhaps cut short."""
    view = memoryview(data)[: struct.unpack_from("<I", data, 4)[0] + 8]
    position = _START
    while position + 8 <= len(view):
        parts.count()
        name, length = struct.unpack_from("<4sI", data, position)
        end = position + 8 + length
        yield name, view[position + 8 : end], view[position : end + length % 2]
        position = end + length % 2


def _size_of(name: bytes, content: memoryview) -> tuple[int, int] | None:
    if name == b"VP8 " and bytes(content[3:6]) == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", content, 6)
        return width & 0x3FFF, height & 0x3FFF
    if name == b"VP8L" and content[0] == 0x2F:
        (bits,) = struct.unpack_from("<I", content, 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None


def _u24(content: memoryview, position: int) -> int:
    return int.from_bytes(content[position : position + 3], "little")
