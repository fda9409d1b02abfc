"""The items of an ISO base media file, as HEIF and AVIF use them (ISO/IEC 14496-12, 23008-12)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from rmbg_service.errors import InvalidImage, UnknownFormat
from rmbg_service.imaging.formats.header import Parts

_MAX_ITEMS = 8_192
_MAX_PARTS = 32_768  # boxes, locations, references and properties
_MAX_PROPERTIES = 64
_ONCE = (b"irot", b"imir", b"clap")  # each costs a copy of the image
_TRACK = (b"trak", b"mdia", b"minf", b"stbl")  # one in the other


@dataclass
class Item:
    """One item: a coded image, a grid of them, or metadata."""

    kind: bytes = b""
    kind_at: int = 0
    """Where the file says so."""
    extents: list[tuple[int, int]] = field(default_factory=list)
    """Where its bytes lie in the file: start and size."""
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Type and content of its properties, in the order in which they apply."""

    def add(self, added: tuple[bytes, bytes]) -> None:
        """Add a property. Raises `InvalidImage` if an item cannot have it as well."""
        kind, _ = added
        if kind in _ONCE and self.property(kind) is not None:
            raise InvalidImage("an image in the file is turned or cropped more than once")
        if len(self.properties) == _MAX_PROPERTIES:
            raise InvalidImage("an item of the file has too many properties")
        self.properties.append(added)

    def property(self, kind: bytes) -> bytes | None:
        """The content of the first property of this type."""
        return next((content for name, content in self.properties if name == kind), None)


@dataclass
class Items:
    """What the `meta` box says."""

    items: dict[int, Item] = field(default_factory=dict)
    primary: int = 0
    references: dict[tuple[bytes, int], list[int]] = field(default_factory=dict)
    """From a reference's type and source to its targets."""
    tracks: list[int] = field(default_factory=list)
    """Where the boxes with tracks of frames say what they are."""
    is_sequence: bool = False

    def __getitem__(self, number: int) -> Item:
        """The item of this number. Raises `InvalidImage` if there is none."""
        if number not in self.items:
            raise InvalidImage("an item that the file refers to is missing")
        return self.items[number]


@dataclass(frozen=True)
class _Box:
    kind: bytes
    kind_at: int
    start: int
    end: int


class _Reader:
    """Numbers from a part of the file, one after the other."""

    def __init__(self, data: bytes, box: _Box) -> None:
        self._data, self.position, self._end = data, box.start, box.end

    def take(self, size: int) -> int:
        """The next unsigned number of `size` bytes."""
        start, self.position = self.position, self.position + size
        if self.position > self._end:
            raise EOFError
        return int.from_bytes(self._data[start : self.position], "big")

    def full_box(self) -> tuple[int, int]:
        """Version and flags."""
        return self.take(1), self.take(3)


def read_items(data: bytes) -> Items:
    """Read the `meta` box of a file, and whether a sequence of frames comes beside it."""
    parts = Parts(_MAX_PARTS)
    found = Items()
    described = False
    for box in _boxes(data, 0, len(data), parts):
        if box.kind == b"moov":
            found.tracks.append(box.kind_at)
            found.is_sequence |= _samples(data, box, parts) > 1
        elif box.kind == b"meta":
            if described:
                raise InvalidImage("the file describes itself twice")
            described = True
            _read_meta(data, box, found, parts)
    if not described:
        raise UnknownFormat("the file has no still image")
    return found


def _boxes(data: bytes, start: int, end: int, parts: Parts) -> Iterator[_Box]:
    position = start
    while position + 8 <= end:
        parts.count()
        size, kind = struct.unpack_from(">I4s", data, position)
        content = position + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, content)
            content += 8
        box_end = end if size == 0 else position + size
        if box_end < content:
            raise EOFError
        yield _Box(kind, position + 4, content, min(box_end, end))
        position = box_end


def _samples(data: bytes, box: _Box, parts: Parts, depth: int = 0) -> int:
    """The number of frames of the longest track in `box`, which lies `depth` boxes down in one."""
    most = 0
    for child in _boxes(data, box.start, box.end, parts):
        if child.kind in _TRACK[depth : depth + 1]:
            most = max(most, _samples(data, child, parts, depth + 1))
        elif child.kind == b"stsz" and child.end - child.start >= 12:
            most = max(most, struct.unpack_from(">I", data, child.start + 8)[0])
    return most


def _read_meta(data: bytes, meta: _Box, found: Items, parts: Parts) -> None:
    children: dict[bytes, _Box] = {}
    for box in _boxes(data, meta.start + 4, meta.end, parts):
        children.setdefault(box.kind, box)
    if b"pitm" in children:
        reader = _Reader(data, children[b"pitm"])
        found.primary = reader.take(2 if reader.full_box()[0] == 0 else 4)
    if b"iinf" in children:
        _read_kinds(data, children[b"iinf"], found, parts)
    if b"iloc" in children:
        idat = children.get(b"idat")
        start = 0 if idat is None else idat.start
        _read_locations(_Reader(data, children[b"iloc"]), found, start, parts)
    if b"iref" in children:
        _read_references(data, children[b"iref"], found, parts)
    if b"iprp" in children:
        _read_properties(data, children[b"iprp"], found, parts)


def _read_kinds(data: bytes, box: _Box, found: Items, parts: Parts) -> None:
    reader = _Reader(data, box)
    reader.take(2 if reader.full_box()[0] == 0 else 4)
    entries = 0
    for entry in _boxes(data, reader.position, box.end, parts):
        if entry.kind != b"infe":
            continue
        entries += 1  # also those that describe an item again
        if entries > _MAX_ITEMS:
            raise InvalidImage("the file has too many items")
        info = _Reader(data, entry)
        version, _ = info.full_box()
        number = info.take(4 if version >= 3 else 2)
        info.take(2)
        kind = info.take(4).to_bytes(4, "big")
        found.items.setdefault(number, Item(kind, info.position - 4))


def _read_locations(reader: _Reader, found: Items, idat: int, parts: Parts) -> None:
    version, _ = reader.full_box()
    sizes = reader.take(2)
    offset_size, length_size, base_size, index_size = (sizes >> s & 15 for s in (12, 8, 4, 0))
    for _ in range(min(reader.take(4 if version == 2 else 2), _MAX_ITEMS)):
        item = found.items.get(reader.take(4 if version == 2 else 2), Item())
        method = reader.take(2) & 15 if version else 0
        reader.take(2)
        base = reader.take(base_size) + (idat if method == 1 else 0)
        count = reader.take(2)
        parts.count(1 + count)
        for _ in range(count):
            reader.take(index_size if version else 0)
            offset = base + reader.take(offset_size)
            item.extents.append((offset, reader.take(length_size)))


def _read_references(data: bytes, box: _Box, found: Items, parts: Parts) -> None:
    reader = _Reader(data, box)
    size = 2 if reader.full_box()[0] == 0 else 4
    for entry in _boxes(data, reader.position, box.end, parts):
        reference = _Reader(data, entry)
        source = reference.take(size)
        count = reference.take(2)
        parts.count(count)
        targets = [reference.take(size) for _ in range(count)]
        found.references.setdefault((entry.kind, source), targets)


def _read_properties(data: bytes, parent: _Box, found: Items, parts: Parts) -> None:
    properties: list[tuple[bytes, bytes]] = []
    for child in _boxes(data, parent.start, parent.end, parts):
        if child.kind == b"ipco":
            boxes = _boxes(data, child.start, child.end, parts)
            properties += [(box.kind, data[box.start : box.end]) for box in boxes]
        elif child.kind == b"ipma":
            _read_associations(_Reader(data, child), found, properties, parts)


def _read_associations(
    reader: _Reader, found: Items, properties: list[tuple[bytes, bytes]], parts: Parts
) -> None:
    version, flags = reader.full_box()
    size = 2 if flags & 1 else 1
    for _ in range(min(reader.take(4), _MAX_ITEMS)):
        item = found.items.get(reader.take(2 if version == 0 else 4), Item())
        count = reader.take(1)
        parts.count(1 + count)
        for _ in range(count):
            index = reader.take(size) & (0x7FFF if flags & 1 else 0x7F)
            if 0 < index <= len(properties):
                item.add(properties[index - 1])
