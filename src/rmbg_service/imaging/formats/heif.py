"""The primary image of a HEIF or AVIF file (ISO/IEC 23008-12, AV1 Image File Format)."""

import struct
from fractions import Fraction

from rmbg_service.errors import InvalidImage
from rmbg_service.imaging.colour_space import ColourSpace
from rmbg_service.imaging.formats.bitstream import MAX_UNITS, check_av1, check_hevc
from rmbg_service.imaging.formats.header import MAX_PROFILE_BYTES, Header, Parts
from rmbg_service.imaging.formats.isobmff import Item, Items, read_items
from rmbg_service.types import Box

_MAX_TILES = 2_048
_SLACK = 1 << 20  # pixels by which tiles may reach beyond a small image
_MAX_FTYP_BYTES = 1_024
_STILL_BRANDS = {b"avis": b"avif", b"hevc": b"heic", b"hevx": b"heix", b"msf1": b"mif1"}
_TURNED = {  # EXIF's orientation for a turn by 90 degrees anticlockwise and a mirroring after it
    (0, None): 1, (1, None): 8, (2, None): 3, (3, None): 6,
    (0, 0): 4, (1, 0): 5, (2, 0): 2, (3, 0): 7,
    (0, 1): 2, (1, 1): 7, (2, 1): 4, (3, 1): 5,
}  # fmt: skip


def read_heif(data: bytes) -> Header:
    """Read what a HEIF or AVIF file says of its primary image.

    Its orientation is that of the image's own properties: the standard makes EXIF's a remark.
    """
    items = read_items(data)
    primary = items[items.primary]
    width, height = _size(primary)
    coded = _Work(data, items).check()
    crop = _crop(primary, width, height)
    angle = primary.property(b"irot")
    axis = primary.property(b"imir")
    orientation = _TURNED[(angle[0] & 3 if angle else 0, axis[0] & 1 if axis else None)]
    colour = _colour(primary) or _colour(coded)
    if coded.kind == b"av01":
        return Header(
            "avif",
            crop.width if crop else width,
            crop.height if crop else height,
            lambda: _still(data, items),
            orientation,
            items.is_sequence,
            colour,
            crop=crop,
        )
    if crop is not None:
        width, height = crop.width, crop.height
    if orientation >= 5:
        width, height = height, width
    return Header("heif", width, height, lambda: _still(data, items), 1, items.is_sequence, colour)


def _still(data: bytes, items: Items) -> bytes:
    """The file without its metadata and its tracks, so that no decoder reads them."""
    unwanted = [item.kind_at for item in items.items.values() if item.kind in (b"Exif", b"mime")]
    if not unwanted and not items.tracks:
        return data
    still = bytearray(data)
    for position in unwanted + items.tracks:
        still[position : position + 4] = b"skip"
    if items.tracks:
        for brand in range(8, min(int.from_bytes(data[:4], "big"), _MAX_FTYP_BYTES), 4):
            name = data[brand : brand + 4]
            still[brand : brand + 4] = _STILL_BRANDS.get(name, name)
    return bytes(still)


class _Work:
    """What a decoder does for the primary image: all coded images that it is made of."""

    def __init__(self, data: bytes, items: Items) -> None:
        self._data = data
        self._items = items
        self._alphas = _alphas(items)
        self._units = Parts(MAX_UNITS)
        self._coded_bytes = 0

    def check(self) -> Item:
        """Check them and return the first one. Raises `InvalidImage` if they are too much work."""
        first = self._tiles(self._items.primary)[0]
        images, checked = [self._items.primary], set()
        while images:
            number = images.pop()
            if number in checked:
                continue
            checked.add(number)
            tiles = self._tiles(number)
            for tile in tiles:
                self._check_coded(self._items[tile])
            for part in {number, *tiles}:
                alphas = self._alphas.get(part, [])
                if any(_size(self._items[alpha]) != _size(self._items[part]) for alpha in alphas):
                    raise InvalidImage("the file's alpha channel and its image differ in size")
                images += alphas
        return self._items[first]

    def _tiles(self, number: int) -> list[int]:
        """The coded images that an item is made of: those of its grid, or the item itself."""
        item = self._items[number]
        if item.kind != b"grid":
            return [number]
        tiles = self._items.references.get((b"dimg", number), [])
        if not 0 < len(tiles) <= _MAX_TILES:
            raise InvalidImage("the file's image has {count} tiles", count=len(tiles))
        width, height = _size(item)
        area = sum(w * h for w, h in (_size(self._items[tile]) for tile in tiles))
        if area > 2 * width * height + _SLACK:
            raise InvalidImage("the file's tiles are much larger than its image")
        _check_grid(self._data, item, len(tiles), (width, height))
        return tiles

    def _check_coded(self, item: Item) -> None:
        width, height = _size(item)
        pixels = width * height + 64 * (width + height) + 4096  # coded in blocks of up to 64
        self._coded_bytes += sum(size for _, size in item.extents)
        if self._coded_bytes > len(self._data):
            raise InvalidImage("the file's images are larger than the file")
        stream = b"".join(self._data[start : start + size] for start, size in item.extents)
        if item.kind == b"av01":
            check_av1(stream, pixels, self._units)
        elif item.kind in (b"hvc1", b"hev1"):
            check_hevc(stream, item.property(b"hvcC") or b"", pixels, self._units)
        else:
            kind = item.kind.decode("latin-1")
            raise InvalidImage(
                "images of the kind {kind!r} in a heif file are not supported", kind=kind
            )


def _check_grid(data: bytes, item: Item, tiles: int, size: tuple[int, int]) -> None:
    grid = b"".join(data[start : start + min(length, 16)] for start, length in item.extents[:4])
    rows, columns = grid[2] + 1, grid[3] + 1
    announced = struct.unpack_from(">II" if grid[1] & 1 else ">HH", grid, 4)
    if rows * columns != tiles or announced != size:
        raise InvalidImage("the file's grid of tiles contradicts itself")


def _alphas(items: Items) -> dict[int, list[int]]:
    """From each item to those that are its transparency."""
    alphas: dict[int, list[int]] = {}
    for (kind, source), targets in items.references.items():
        if kind == b"auxl":
            auxiliary = items[source].property(b"auxC") or b""
            if b"alpha" in auxiliary or b":2015:auxid:1" in auxiliary:
                for target in targets:
                    alphas.setdefault(target, []).append(source)
    return alphas


def _size(item: Item) -> tuple[int, int]:
    extents = item.property(b"ispe")
    if extents is None:
        raise InvalidImage("the file does not say how large its image is")
    return struct.unpack_from(">II", extents, 4)


def _crop(item: Item, width: int, height: int) -> Box | None:
    """The clean aperture in whole pixels; None if it is the whole image or makes no sense."""
    aperture = item.property(b"clap")
    if aperture is None:
        return None
    numbers = struct.unpack_from(">IIIIiIiI", aperture)
    if 0 in numbers[1::2]:
        return None
    wide, high, right, down = (Fraction(*pair) for pair in zip(*[iter(numbers)] * 2, strict=True))
    left = round((width - wide) / 2 + right)
    top = round((height - high) / 2 + down)
    box = Box(left, top, left + round(wide), top + round(high))
    inside = 0 <= left < box.right <= width and 0 <= top < box.bottom <= height
    return box if inside and box != (0, 0, width, height) else None


def _colour(item: Item) -> bytes | ColourSpace | None:
    """An ICC profile wins over code points beside it."""
    named: ColourSpace | None = None
    for kind, content in item.properties:
        if kind != b"colr":
            continue
        if content[:4] in (b"prof", b"rICC") and 4 < len(content) <= MAX_PROFILE_BYTES:
            return content[4:]
        if content[:4] == b"nclx" and len(content) >= 8:
            primaries, transfer = struct.unpack_from(">HH", content, 4)
            named = ColourSpace.from_code_points(primaries, transfer)
    return named
