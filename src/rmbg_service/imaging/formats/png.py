"""The structure of a PNG file (W3C PNG, third edition)."""

import struct
import zlib
from collections.abc import Iterator

from rmbg_service.errors import InvalidImage
from rmbg_service.imaging.colour_space import ColourSpace
from rmbg_service.imaging.exif import orientation_of
from rmbg_service.imaging.formats.header import MAX_PARTS, MAX_PROFILE_BYTES, Header

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DECODED = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
_SMALL = {b"cICP": 4, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"acTL": 8}
_MAX_EXIF_BYTES = 1_000_000
_RAW_EXIF = (b"Raw profile type exif\0", b"Raw profile type APP1\0")
_SRGB_GAMMA = 45455
_SRGB_CHROMATICITIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


def read_png(data: bytes) -> Header:
    """Read the chunks of a PNG file; those that are not part of the image reach no decoder."""
    name, width, height = struct.unpack_from(">4sII", data, 12)
    if name != b"IHDR":
        raise InvalidImage("the png file does not begin with its header")
    kept: list[memoryview] = [memoryview(SIGNATURE)]
    side: dict[bytes, memoryview] = {}
    raw_exif: bytes | None = None
    dropped = False
    for name, content, whole in _chunks(data):
        if name == b"CgBI":
            raise InvalidImage("png files in Apple's variant (CgBI) are not supported")
        ancillary = bool(name[0] & 0x20)
        useful = name in _DECODED if not ancillary else name == b"tRNS" and _is_intact(whole)
        if useful or not ancillary:
            kept.append(whole)
            continue
        dropped = True
        if name in (b"iCCP", b"eXIf") or len(content) == _SMALL.get(name, -1):
            if name not in side and _is_intact(whole):
                side[name] = content
        elif name in (b"tEXt", b"zTXt") and content[:22] in _RAW_EXIF and raw_exif is None:
            raw_exif = _raw_exif(content, compressed=name == b"zTXt")
    exif = bytes(side.get(b"eXIf", b"")[:_MAX_EXIF_BYTES]) or raw_exif or b""
    return Header(
        "png",
        width,
        height,
        lambda: b"".join(kept) if dropped else data,
        orientation_of(exif),
        animated=b"acTL" in side and struct.unpack(">II", side[b"acTL"])[0] > 1,
        colour=_colour(side),
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, memoryview]]:
    """Name, content and whole of each chunk up to IEND or the end of the file."""
    view = memoryview(data)
    position = len(SIGNATURE)
    for _ in range(MAX_PARTS):
        if position + 8 > len(data):
            return
        (length,) = struct.unpack_from(">I", data, position)
        name, end = data[position + 4 : position + 8], position + 12 + length
        yield name, view[position + 8 : min(end - 4, len(data))], view[position:end]
        if name == b"IEND":
            return
        position = end
    raise InvalidImage("the png file has too many chunks")


def _is_intact(whole: memoryview) -> bool:
    """Whether a chunk is complete and its checksum right."""
    if len(whole) < 12 or struct.unpack_from(">I", whole)[0] + 12 != len(whole):
        return False
    return zlib.crc32(whole[4:-4]) == int.from_bytes(whole[-4:], "big")


def _colour(side: dict[bytes, memoryview]) -> bytes | ColourSpace | None:
    """The colour space, by the standard's order: cICP, iCCP, sRGB, then cHRM and gAMA."""
    if b"cICP" in side:
        primaries, transfer, matrix, _ = side[b"cICP"]
        if matrix == 0:
            return ColourSpace.from_code_points(primaries, transfer)
    if b"iCCP" in side and (icc := _inflated_after_name(side[b"iCCP"], MAX_PROFILE_BYTES)):
        return icc
    if b"sRGB" in side:
        return None
    gamma = struct.unpack(">I", side[b"gAMA"])[0] if b"gAMA" in side else _SRGB_GAMMA
    numbers = struct.unpack(">8I", side[b"cHRM"]) if b"cHRM" in side else _SRGB_CHROMATICITIES
    if gamma == _SRGB_GAMMA and numbers == _SRGB_CHROMATICITIES:
        return None
    return ColourSpace.from_png(
        tuple(number / 100_000 for number in numbers),
        None if gamma == _SRGB_GAMMA else gamma / 100_000,
    )


def _inflated_after_name(content: memoryview, limit: int) -> bytes:
    """What a compressed chunk holds behind its name; nothing if it is broken or above `limit`."""
    name_end = bytes(content[:80]).find(b"\0")
    if name_end < 0 or bytes(content[name_end + 1 : name_end + 2]) != b"\0":  # the one method
        return b""
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(content[name_end + 2 :], limit)
    except zlib.error:
        return b""
    return inflated if inflater.eof else b""


def _raw_exif(content: memoryview, *, compressed: bool) -> bytes:
    """EXIF as ImageMagick writes it into a text chunk: a name, a length and hexadecimal digits."""
    if compressed:
        text = _inflated_after_name(content, 2 * _MAX_EXIF_BYTES)
    else:
        text = bytes(content[22 : 22 + 2 * _MAX_EXIF_BYTES])
    lines = text.split(b"\n", 3)
    try:
        return bytes.fromhex(lines[3].decode("ascii")) if len(lines) == 4 else b""
    except ValueError:
        return b""
