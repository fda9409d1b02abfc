"""HEIF and AVIF files whose boxes, items or streams cost a naive decoder much time or memory."""

import io
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import pillow_heif
from PIL import Image

from rmbg_service.imaging.formats.isobmff import read_items


def coded(width: int, height: int, kind: str) -> bytes:
    """A plain picture as HEIF or AVIF."""
    image = Image.new("RGB", (width, height), "grey")
    buffer = io.BytesIO()
    if kind == "AVIF":
        image.save(buffer, "AVIF", speed=10)
        return buffer.getvalue()
    pillow_heif.from_pillow(image).save(buffer)
    return buffer.getvalue()


def smaller_than_it_is(kind: str, side: int = 3000) -> bytes:
    """A coded picture of `side` squared in a file that says 16 x 16."""
    data = coded(side, side, kind)
    return data.replace(struct.pack(">II", side, side), struct.pack(">II", 16, 16))


def many_boxes(count: int = 4_800_000) -> bytes:
    """Empty boxes before the picture's."""
    data = coded(64, 64, "AVIF")
    size = struct.unpack_from(">I", data)[0]
    return data[:size] + struct.pack(">I4s", 8, b"free") * count + data[size:]


def many_items(kind: str, count: int = 200_000) -> bytes:
    """A table of items that are not there."""
    entry = struct.pack(">I4sIHH4sB", 21, b"infe", 2 << 24, 7, 0, b"mime", 0)
    table = struct.pack(">I4sII", 16 + len(entry) * count, b"iinf", 1 << 24, count) + entry * count
    return _with_child_of_meta(coded(64, 64, kind), table, before=b"iinf")


def many_properties(kind: str, count: int = 2_000_000) -> bytes:
    """Properties that belong to nothing."""
    entry = struct.pack(">I4s", 8, b"free")
    table = struct.pack(">I4s", 8 + len(entry) * count, b"ipco") + entry * count
    table = struct.pack(">I4s", 8 + len(table), b"iprp") + table
    return _with_child_of_meta(coded(64, 64, kind), table, before=b"iprp")


def _with_child_of_meta(data: bytes, box: bytes, before: bytes) -> bytes:
    meta, child = data.index(b"meta") - 4, data.index(before) - 4
    size = struct.unpack_from(">I", data, meta)[0] + len(box)
    return data[:meta] + struct.pack(">I", size) + data[meta + 4 : child] + box + data[child:]


def grid_of_tiles(kind: str, tiles: int = 60_000) -> bytes:
    """A grid of far more tiles than it needs, all of them the same one."""
    data = coded(64, 64, kind)
    code = b"av01" if kind == "AVIF" else b"hvc1"
    references = struct.pack(">I4sHH", 12 + 2 * tiles, b"dimg", 1, tiles) + b"\0\x02" * tiles
    references = struct.pack(">I4sI", 12 + len(references), b"iref", 0) + references
    data = _with_child_of_meta(data, references, before=b"iprp")
    return data.replace(b"infe\x02\0\0\0\0\x01\0\0" + code, b"infe\x02\0\0\0\0\x01\0\0grid")


class Coded(NamedTuple):
    """The configuration and the stream of a plain picture."""

    configuration: bytes
    stream: bytes


class Picture(NamedTuple):
    """An item of a file: its type, its bytes and its properties."""

    kind: bytes
    content: bytes
    properties: Sequence[bytes]


def coded_alone(width: int, height: int, kind: str) -> Coded:
    """What is coded in a plain picture's file."""
    data = coded(width, height, kind)
    items = read_items(data)
    primary = items[items.primary]
    stream = b"".join(data[start : start + size] for start, size in primary.extents)
    return Coded(primary.property(b"av1C" if kind == "AVIF" else b"hvcC") or b"", stream)


def box(kind: bytes, *content: bytes) -> bytes:
    """A box of an ISO base media file."""
    return struct.pack(">I4s", 8 + sum(map(len, content)), kind) + b"".join(content)


def full_box(kind: bytes, version: int, *content: bytes) -> bytes:
    """A box with a version."""
    return box(kind, struct.pack(">I", version << 24), *content)


def size_property(width: int, height: int) -> bytes:
    """What a picture says of its size."""
    return full_box(b"ispe", 0, struct.pack(">II", width, height))


def reference(kind: bytes, source: int, targets: Sequence[int]) -> bytes:
    """A reference from one item to others."""
    return box(kind, struct.pack(f">HH{len(targets)}H", source, len(targets), *targets))


def file_of(
    kind: str,
    pictures: Mapping[int, Picture],
    references: bytes = b"",
    before: bytes = b"",
) -> bytes:
    """A file of these items, the first of which is its picture.

    `references` are the boxes in `iref`; `before` are boxes of `meta` before all others.
    """
    brand = b"avif" if kind == "AVIF" else b"heic"
    names = [
        full_box(b"infe", 2, struct.pack(">HH", number, 0), picture.kind, b"\0")
        for number, picture in pictures.items()
    ]
    properties = list(dict.fromkeys(p for picture in pictures.values() for p in picture.properties))
    associations = [
        struct.pack(">HB", number, len(picture.properties))
        + bytes(properties.index(p) + 1 for p in picture.properties)
        for number, picture in pictures.items()
    ]
    associated = full_box(b"ipma", 0, struct.pack(">I", len(pictures)), *associations)

    def start(data_at: int) -> bytes:
        places = b""
        for number, picture in pictures.items():
            places += struct.pack(">HHHII", number, 0, 1, data_at, len(picture.content))
            data_at += len(picture.content)
        meta = full_box(
            b"meta",
            0,
            before,
            full_box(b"hdlr", 0, bytes(4), b"pict", bytes(13)),
            full_box(b"pitm", 0, struct.pack(">H", next(iter(pictures)))),
            full_box(b"iloc", 0, struct.pack(">HH", 0x4400, len(pictures)), places),
            full_box(b"iinf", 0, struct.pack(">H", len(pictures)), *names),
            full_box(b"iref", 0, references),
            box(b"iprp", box(b"ipco", *properties), associated),
        )
        return box(b"ftyp", brand, bytes(4), b"mif1", brand, b"miaf") + meta

    content = b"".join(picture.content for picture in pictures.values())
    return start(len(start(0)) + 8) + box(b"mdat", content)


def picture_of(kind: str, coded: Coded, width: int, height: int, *properties: bytes) -> Picture:
    """An item of what is coded, which says that it has this size."""
    names = (b"av01", b"av1C") if kind == "AVIF" else (b"hvc1", b"hvcC")
    samples = full_box(b"pixi", 0, b"\3\x08\x08\x08")
    fixed = box(names[1], coded.configuration), size_property(width, height), samples
    return Picture(names[0], coded.stream, (*fixed, *properties))


def plain_picture(
    kind: str, *properties: bytes, references: bytes = b"", before: bytes = b""
) -> bytes:
    """A plain picture of 64 x 64 px."""
    picture = picture_of(kind, coded_alone(64, 64, kind), 64, 64, *properties)
    return file_of(kind, {1: picture}, references, before)


def grid_of(kind: str, coded: Coded, rows: int, columns: int) -> tuple[dict[int, Picture], bytes]:
    """A grid of tiles of 64 x 64 px that are all the same picture, and their reference."""
    width, height = 64 * columns, 64 * rows
    content = struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, width, height)
    pictures = {1: Picture(b"grid", content, (size_property(width, height),))}
    tiles = range(2, 2 + rows * columns)
    pictures |= {tile: picture_of(kind, coded, 64, 64) for tile in tiles}
    return pictures, reference(b"dimg", 1, tiles)


def tiles_of_units(kind: str, unit: bytes, count: int, tiles: int = 900) -> bytes:
    """A grid, `count` units of whose tiles' streams hold nothing."""
    configuration, stream = coded_alone(64, 64, kind)
    coded = Coded(configuration, stream + unit * count)
    return file_of(kind, *grid_of(kind, coded, tiles // 30, 30))


def tiles_of_configurations(units: int = 20_000, tiles: int = 900) -> bytes:
    """A grid whose tiles share a configuration of many units."""
    configuration, stream = coded_alone(64, 64, "HEIF")
    arrays = bytes((configuration[22] + 1,)) + configuration[23:]
    array = b"\x21" + struct.pack(">H", units) + b"\0\0" * units
    coded = Coded(configuration[:22] + arrays + array, stream)
    return file_of("HEIF", *grid_of("HEIF", coded, tiles // 30, 30))


def alphas_of_tiles(side: int = 6_000) -> bytes:
    """A grid of four tiles, each with a much larger picture as its transparency."""
    pictures, references = grid_of("AVIF", coded_alone(64, 64, "AVIF"), 2, 2)
    name = full_box(b"auxC", 0, b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
    alpha = picture_of("AVIF", coded_alone(side, side, "AVIF"), 64, 64, name)
    for tile in range(2, 6):
        pictures[tile + 4] = alpha
        references += reference(b"auxl", tile + 4, [tile])
    return file_of("AVIF", pictures, references)


def turned_again_and_again(kind: str, turns: int = 60) -> bytes:
    """A picture with many turns by half a circle, each of which copies it."""
    return plain_picture(kind, *[box(b"irot", b"\2")] * turns)


def tile_of_many_properties(tiles: int = 2_000, properties: int = 14_000) -> bytes:
    """A grid of one tile again and again, whose size comes after many other properties."""
    grid, _ = grid_of("AVIF", coded_alone(64, 64, "AVIF"), 40, tiles // 40)
    pictures = {1: grid[1], 2: grid[2]}
    entry = struct.pack(">HB", 2, 200) + b"\1" * 200
    associated = full_box(
        b"ipma", 0, struct.pack(">I", properties // 200), entry * (properties // 200)
    )
    properties_first = box(b"iprp", box(b"ipco", *grid[2].properties), associated)
    return file_of("AVIF", pictures, reference(b"dimg", 1, [2] * tiles), properties_first)


def long_references(count: int = 300) -> bytes:
    """References to 65,000 items each, none of which is there."""
    references = (reference(b"cdsc", 100 + n, [1_000] * 65_000) for n in range(count))
    return plain_picture("AVIF", references=b"".join(references))


def empty_associations(count: int = 1_500) -> bytes:
    """Tables of items without properties."""
    table = full_box(b"ipma", 0, struct.pack(">I", 8_192), struct.pack(">HB", 77, 0) * 8_192)
    return plain_picture("AVIF", before=box(b"iprp", table * count))


def many_descriptions(count: int = 16_000) -> bytes:
    """Descriptions of no items, each of which says that one lies in many parts of no bytes."""
    places = full_box(b"iloc", 0, struct.pack(">HHHHH", 0, 1, 1, 0, 32_000))
    data = plain_picture("AVIF")
    size = struct.unpack_from(">I", data)[0]
    return data[:size] + full_box(b"meta", 0, places) * count + data[size:]


def deep_tracks(depth: int = 50_000) -> bytes:
    """Boxes in boxes."""
    boxes = b"".join(struct.pack(">I4s", 8 * (depth - n), b"trak") for n in range(depth))
    return plain_picture("AVIF") + box(b"moov", boxes)


FILES: dict[str, Callable[[], bytes]] = {
    "avif-smaller-than-it-is": partial(smaller_than_it_is, "AVIF"),
    "heif-smaller-than-it-is": partial(smaller_than_it_is, "HEIF"),
    "avif-many-boxes": many_boxes,
    "avif-many-items": partial(many_items, "AVIF"),
    "heif-many-items": partial(many_items, "HEIF"),
    "avif-many-properties": partial(many_properties, "AVIF"),
    "heif-many-properties": partial(many_properties, "HEIF"),
    "avif-many-tiles": partial(grid_of_tiles, "AVIF"),
    "heif-many-tiles": partial(grid_of_tiles, "HEIF"),
    "avif-tiles-of-units": partial(tiles_of_units, "AVIF", b"\x7a\0", 19_000),
    "heif-tiles-of-units": partial(tiles_of_units, "HEIF", bytes(4), 9_500),
    "heif-tiles-of-configurations": tiles_of_configurations,
    "avif-alphas-of-tiles": alphas_of_tiles,
    "heif-turned-again-and-again": partial(turned_again_and_again, "HEIF"),
    "avif-tile-of-many-properties": tile_of_many_properties,
    "avif-long-references": long_references,
    "avif-empty-associations": empty_associations,
    "avif-many-descriptions": many_descriptions,
    "avif-deep-tracks": deep_tracks,
}
