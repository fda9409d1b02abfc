"""The structure of a TIFF file (TIFF 6.0 and BigTIFF)."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rmbg_service.errors import EmptyImage, InvalidImage
from rmbg_service.imaging.formats.header import MAX_PROFILE_BYTES, Header

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
FILL_ORDER, STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES = 266, 273, 277, 278, 279
PLANAR, PREDICTOR, COLOUR_MAP, TILE_WIDTH, TILE_HEIGHT = 284, 317, 320, 322, 323
TILE_OFFSETS, TILE_BYTES, EXTRA_SAMPLES, SAMPLE_FORMAT = 324, 325, 338, 339
JPEG_TABLES, SUBSAMPLING = 347, 530
_SUBFILE, _ORIENTATION, _T4_OPTIONS, _T6_OPTIONS, _ICC = 254, 274, 292, 293, 34675
_INNER_DIRECTORIES = 330
_NOT_A_PAGE = 1 | 4  # of the subfile type: a smaller version, a transparency mask

_MAX_ENTRIES = 4_096
_MAX_TAGS = 65_536  # of all pages together
MAX_SEGMENTS = 100_000
"""Strips or tiles; an image of 25,000 rows in four planes has as many if each row is a strip."""
_MAX_SAMPLES = 8
_TILE_SLACK = 1 << 22  # pixels by which a tile may reach beyond a small image
_TILES_SLACK = 1 << 26  # and all tiles together
_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 18: "Q"}
_TYPE_NUMBERS = {"B": 7, "H": 3, "I": 4}


@dataclass(frozen=True)
class Layout:
    """How the first image's samples lie in the file; every number has been checked."""

    width: int
    height: int
    bits: int
    samples: int
    sample_format: int
    photometric: int
    compression: int
    planar: bool
    predictor: int
    fill_order: int
    extra: tuple[int, ...]
    subsampling: tuple[int, ...]
    segment: tuple[int, int]
    """Height and width of a strip or tile."""
    offsets: NDArray[np.uint64]
    sizes: NDArray[np.uint64]


class _Directory:
    """One image file directory; values are read when asked for, and bounded then."""

    def __init__(self, data: bytes, order: str, big: bool, position: int) -> None:
        self._data, self._order, self._big = data, order, big
        self._entries: dict[int, tuple[int, int, int]] = {}
        count = struct.unpack_from(order + ("Q" if big else "H"), data, position)[0]
        self.count = count
        if count > _MAX_ENTRIES:
            raise InvalidImage("the tiff file has too many tags")
        entry, size = position + (8 if big else 2), 20 if big else 12
        for at in range(entry, entry + size * count, size):
            tag, kind, values = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, at)
            self._entries.setdefault(tag, (kind, values, at + size - (8 if big else 4)))
        self.next = struct.unpack_from(order + ("Q" if big else "I"), data, entry + size * count)[0]

    def array(self, tag: int, most: int) -> NDArray[np.uint64] | None:
        """The first `most` values of a tag; None if it is missing or not of integers."""
        kind, count, at = self._entries.get(tag, (0, 0, 0))
        if kind not in _TYPES or count == 0:
            return None
        dtype = np.dtype(self._order + _TYPES[kind])
        if count * dtype.itemsize > (8 if self._big else 4):
            (at,) = struct.unpack_from(self._order + ("Q" if self._big else "I"), self._data, at)
        if at + min(count, most) * dtype.itemsize > len(self._data):
            raise EOFError
        return np.frombuffer(self._data, dtype, min(count, most), at).astype(np.uint64)

    def number(self, tag: int, default: int) -> int:
        values = self.array(tag, 1)
        return default if values is None else int(values[0])

    def raw(self, tag: int, most: int) -> bytes:
        """The bytes of a tag; none if there are more than `most`."""
        kind, count, at = self._entries.get(tag, (0, 0, 0))
        if kind not in (1, 2, 7) or not 4 < count <= most:
            return b""
        (at,) = struct.unpack_from(self._order + ("Q" if self._big else "I"), self._data, at)
        return self._data[at : at + count]


def read_tiff(data: bytes) -> Header:
    """Read the first image's directory; the decoder is given one that holds nothing else.

    Smaller versions and masks in front of it are passed over.
    """
    order, big, position = _start(data)
    directory = _first_image(data, order, big, position)
    layout = _layout(directory, len(data))
    return Header(
        "tiff",
        layout.width,
        layout.height,
        lambda: _rewritten(data, order, directory, layout),
        orientation=number if (number := directory.number(_ORIENTATION, 1)) in range(1, 9) else 1,
        animated=_next_page(data, order, big, directory) is not None,
        colour=directory.raw(_ICC, MAX_PROFILE_BYTES) or None,
    )


def read_layout(data: bytes) -> Layout:
    """How the samples of the first image lie in the file."""
    order, big, position = _start(data)
    return _layout(_Directory(data, order, big, position), len(data))


def _start(data: bytes) -> tuple[str, bool, int]:
    order = "<" if data[:2] == b"II" else ">"
    (version,) = struct.unpack_from(order + "H", data, 2)
    if version == 43:
        return order, True, struct.unpack_from(order + "Q", data, 8)[0]
    return order, False, struct.unpack_from(order + "I", data, 4)[0]


def _layout(directory: _Directory, file_size: int) -> Layout:
    width, height = directory.number(WIDTH, 0), directory.number(HEIGHT, 0)
    samples = directory.number(SAMPLES, 1)
    if not 1 <= samples <= _MAX_SAMPLES:
        raise InvalidImage(
            "tiff files with {samples} samples per pixel are not supported", samples=samples
        )
    bits = directory.array(BITS, samples)
    formats = directory.array(SAMPLE_FORMAT, samples)
    for values in (bits, formats):
        if values is not None and (values != values[0]).any():
            raise InvalidImage("tiff files whose samples differ in depth are not supported")
    planar = directory.number(PLANAR, 1) == 2 and samples > 1
    tile_width = directory.number(TILE_WIDTH, 0)
    if tile_width:
        segment = (directory.number(TILE_HEIGHT, 0), tile_width)
        offsets_tag, sizes_tag = TILE_OFFSETS, TILE_BYTES
    else:
        segment = (min(directory.number(ROWS_PER_STRIP, height), height), width)
        offsets_tag, sizes_tag = STRIP_OFFSETS, STRIP_BYTES
    if 0 in segment or 0 in (width, height):
        raise EmptyImage("the image has no pixels")
    count = -(-height // segment[0]) * -(-width // segment[1])
    area = count * segment[0] * segment[1]
    count *= samples if planar else 1
    if count > MAX_SEGMENTS:
        raise InvalidImage("the tiff file has too many strips or tiles")
    pixels = width * height
    if segment[0] * segment[1] > pixels + _TILE_SLACK or area > 2 * pixels + _TILES_SLACK:
        raise InvalidImage("the tiff file's tiles are much larger than its image")
    offsets, sizes = directory.array(offsets_tag, count), directory.array(sizes_tag, count)
    compression = directory.number(COMPRESSION, 1)
    depth = 1 if bits is None else int(bits[0])
    if sizes is None and compression == 1 and offsets is not None and len(offsets) == 1:
        row = -(-width * depth * (1 if planar else samples) // 8)
        sizes = np.array([row * height], np.uint64)
    if offsets is None or sizes is None or len(offsets) != count or len(sizes) != count:
        raise InvalidImage("the tiff file's table of strips or tiles is incomplete")
    if int(offsets.max()) > file_size:
        raise EOFError
    if np.minimum(sizes, file_size - offsets).sum() > 2 * file_size:
        raise InvalidImage("the tiff file's strips or tiles overlap")
    extra = directory.array(EXTRA_SAMPLES, samples)
    subsampling = directory.array(SUBSAMPLING, 2)
    return Layout(
        width,
        height,
        depth,
        samples,
        1 if formats is None else int(formats[0]),
        directory.number(PHOTOMETRIC, 1),
        compression,
        planar,
        directory.number(PREDICTOR, 1),
        directory.number(FILL_ORDER, 1),
        () if extra is None else tuple(int(value) for value in extra),
        () if subsampling is None else tuple(int(value) for value in subsampling),
        segment,
        offsets,
        np.minimum(sizes, file_size - offsets),
    )


def _first_image(data: bytes, order: str, big: bool, position: int) -> _Directory:
    """The directory of the first image that is neither a smaller version nor a mask of another.

    Without one, the first directory. Raises `InvalidImage` if that is the preview of images of
    another kind, as in raw files.
    """
    first = _Directory(data, order, big, position)
    if not first.number(_SUBFILE, 0) & _NOT_A_PAGE:
        return first
    page = _next_page(data, order, big, first)
    if page is None and first.array(_INNER_DIRECTORIES, 1) is not None:
        raise InvalidImage(
            "the tiff file has only a preview of its image, as raw files of cameras do: convert it "
            "to jpeg, png or tiff"
        )
    return page or first


def _next_page(data: bytes, order: str, big: bool, directory: _Directory) -> _Directory | None:
    """The next directory whose image is neither a smaller version nor a mask of another."""
    tags = 0
    while (position := directory.next) and tags <= _MAX_TAGS:
        try:
            directory = _Directory(data, order, big, position)
            kind = directory.number(_SUBFILE, 0)
        except (struct.error, EOFError, InvalidImage):  # what came before is complete all the same
            return None
        tags += 1 + directory.count
        if not kind & _NOT_A_PAGE:
            return directory
    return None


def _rewritten(data: bytes, order: str, directory: _Directory, layout: Layout) -> bytes:
    """The file's bytes at their offsets, behind a header that leads to checked tags alone."""
    tiled = directory.number(TILE_WIDTH, 0) > 0
    tags: dict[int, tuple[str, Sequence[int] | NDArray[np.uint64] | bytes]] = {
        WIDTH: ("I", [layout.width]),
        HEIGHT: ("I", [layout.height]),
        BITS: ("H", [layout.bits] * layout.samples),
        COMPRESSION: ("H", [layout.compression]),
        PHOTOMETRIC: ("H", [layout.photometric]),
        FILL_ORDER: ("H", [layout.fill_order]),
        SAMPLES: ("H", [layout.samples]),
        PLANAR: ("H", [2 if layout.planar else 1]),
        PREDICTOR: ("H", [layout.predictor]),
        SAMPLE_FORMAT: ("H", [layout.sample_format] * layout.samples),
        TILE_OFFSETS if tiled else STRIP_OFFSETS: ("I", layout.offsets),
        TILE_BYTES if tiled else STRIP_BYTES: ("I", layout.sizes),
    }
    if tiled:
        tags |= {TILE_HEIGHT: ("I", [layout.segment[0]]), TILE_WIDTH: ("I", [layout.segment[1]])}
    else:
        tags[ROWS_PER_STRIP] = ("I", [layout.segment[0]])
    if layout.extra:
        tags[EXTRA_SAMPLES] = ("H", layout.extra)
    if tables := directory.raw(JPEG_TABLES, 1 << 16):
        tags[JPEG_TABLES] = ("B", tables)
    most = {COLOUR_MAP: 3 << layout.bits, SUBSAMPLING: 2, _T4_OPTIONS: 1, _T6_OPTIONS: 1}
    for tag, count in most.items():
        values = directory.array(tag, count) if layout.bits <= 8 else None
        if values is not None:
            if tag == COLOUR_MAP and values.max() < 256:  # of 8 bits, as old writers have it
                values = values * np.uint64(257)
            tags[tag] = ("I" if tag in (_T4_OPTIONS, _T6_OPTIONS) else "H", values)
    return _with_directory(data, order, tags)


def _with_directory(
    data: bytes,
    order: str,
    tags: dict[int, tuple[str, Sequence[int] | NDArray[np.uint64] | bytes]],
) -> bytes:
    """A TIFF of the file's bytes and a new directory at its end."""
    start = len(data) + len(data) % 2
    position = start + 2 + 12 * len(tags) + 4
    entries, outside = [], []
    for tag, (kind, values) in sorted(tags.items()):
        content = np.asarray(memoryview(values) if isinstance(values, bytes) else values)
        packed = content.astype(order + kind).tobytes()
        head = struct.pack(order + "HHI", tag, _TYPE_NUMBERS[kind], len(content))
        if len(packed) <= 4:
            entries.append(head + packed.ljust(4, b"\0"))
            continue
        entries.append(head + struct.pack(order + "I", position))
        outside.append(packed + bytes(len(packed) % 2))
        position += len(outside[-1])
    header = data[:2] + struct.pack(order + "HI", 42, start)
    count = struct.pack(order + "H", len(tags))
    body = memoryview(data)[8:]
    return b"".join((header, body, bytes(len(data) % 2), count, *entries, bytes(4), *outside))
