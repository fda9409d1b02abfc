"""The structure of a JPEG file (ITU-T T.81 annex B)."""

import re
import struct
from dataclasses import dataclass

from rmbg_service.errors import InvalidImage
from rmbg_service.imaging.exif import colour_space_of, orientation_of
from rmbg_service.imaging.formats.header import MAX_PROFILE_BYTES, Header, Parts

_MARKER = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)
_IN_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # TEM, RSTn and SOI: markers without a length
_APP1, _APP2, _COM = 0xE1, 0xE2, 0xFE
_EOI, _SOS = 0xD9, 0xDA
_TABLES = (0xC4, 0xDB)  # DHT and DQT
_METADATA = frozenset((*range(0xE1, 0xEE), 0xEF, _COM))  # APP0 and APP14 say what colours mean
_MAX_SCANS = 100
_MAX_SCANNED_PIXELS = 800_000_000
_MAX_TABLE_BYTES = 1 << 20  # before the first scan; a decoder keeps about 2 KB of them
_WINDOW = 1 << 20
_ORDINARY_SCANS = 16  # encoders write about ten at any size


@dataclass
class _Frame:
    progressive: bool
    width: int
    height: int
    components: int


class JpegWork(Parts):
    """What decoding costs, of all the JPEG streams of a file together."""

    def __init__(self) -> None:
        super().__init__()
        self._scanned_pixels = 0

    def count_scan(self, pixels: int, scans: int) -> None:
        """Count a pass over an image of `pixels`, the number `scans` of that image.

        Raises `InvalidImage` when there are too many.
        """
        self._scanned_pixels += pixels
        many = scans > _ORDINARY_SCANS and self._scanned_pixels > _MAX_SCANNED_PIXELS
        if many or scans > _MAX_SCANS:
            raise InvalidImage("the jpeg file has too many scans")


def read_jpeg(data: bytes, work: JpegWork | None = None) -> Header:
    """Read a JPEG file up to its first image's end.

    `work` is what other streams of the same file have cost; the EXIF of such a stream is not read.
    Raises `InvalidImage` for more segments or scans than a decoder should have to go through.
    """
    is_stream, work = work is not None, work or JpegWork()
    frame: _Frame | None = None
    exif = b""
    profile: dict[int, bytes] = {}
    dropped: list[slice] = []
    position, table_bytes = 2, 0
    while True:
        marker, start, end = _segment(data, position)
        work.count()
        if marker in _SOF and frame is None:
            height, width, components = struct.unpack_from(">HHB", data, start + 5)
            frame = _Frame(marker in _PROGRESSIVE, width, height, components)
        elif marker == _APP1 and not exif and data[start + 4 : start + 8] == b"Exif":
            exif = b"" if is_stream else data[start + 4 : end]
        elif marker == _APP2 and data[start + 4 : start + 16] == b"ICC_PROFILE\0":
            profile.setdefault(data[start + 16], data[start + 18 : end])
        elif marker == _SOS:
            break
        elif marker == _EOI:
            raise InvalidImage("the jpeg file has no image")
        elif marker in _TABLES:
            table_bytes += end - start
            if table_bytes > _MAX_TABLE_BYTES:
                raise InvalidImage("the jpeg file has too many tables")
        if marker in _METADATA:
            dropped.append(slice(start, end))
        position = end
    if frame is None:
        raise InvalidImage("the jpeg file has no frame header")
    if frame.progressive or data[start + 4] < frame.components:
        _check_scans(data, start, frame.width * frame.height, work)
    icc = b"".join(profile[number] for number in sorted(profile))
    return Header(
        "jpeg",
        frame.width,
        frame.height,
        lambda: _without(data, dropped),
        orientation_of(exif),
        colour=icc if 0 < len(icc) <= MAX_PROFILE_BYTES else colour_space_of(exif),
    )


def _segment(data: bytes, position: int) -> tuple[int, int, int]:
    """The next segment's marker, where it starts and where it ends; junk before it is skipped."""
    found = _search(_MARKER, data, position)
    if found is None:
        raise EOFError
    marker = data[found.start() + 1]
    if marker in _ALONE or marker == _EOI:
        return marker, found.start(), found.end()
    (length,) = struct.unpack_from(">H", data, found.end())
    end = found.end() + length
    if length < 2 or end > len(data):
        raise EOFError
    return marker, found.start(), end


def _search(pattern: re.Pattern[bytes], data: bytes, position: int) -> re.Match[bytes] | None:
    """The next marker; raises `InvalidImage` for a file that is made of almost-markers."""
    while position < len(data):
        end = position + _WINDOW
        if (found := pattern.search(data, position, end)) is not None:
            return found
        if data.count(b"\xff", position, end) > _WINDOW // 4:
            raise InvalidImage("the jpeg file is mostly padding")
        position = end - 1
    return None


def _check_scans(data: bytes, position: int, pixels: int, work: JpegWork) -> None:
    """Count the scans up to the image's end: each costs a pass over the whole image."""
    scans = 0
    while (found := _search(_IN_SCAN, data, position)) is not None:
        marker, position = data[found.start() + 1], found.end()
        work.count()
        if marker == _SOS:
            scans += 1
            work.count_scan(pixels, scans)
        if marker == _EOI:
            return
        if marker not in _ALONE:
            if position + 2 > len(data):
                return
            position += struct.unpack_from(">H", data, position)[0]


def _without(data: bytes, parts: list[slice]) -> bytes:
    if not parts:
        return data
    kept, position = [], 0
    for part in parts:
        kept.append(memoryview(data)[position : part.start])
        position = part.stop
    return b"".join((*kept, memoryview(data)[position:]))
