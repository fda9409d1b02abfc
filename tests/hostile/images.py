"""Files that cost a naive decoder much time or memory, made when they are asked for.

`FILES` makes each of them; `ATTACKS` posts one of them to a running service again and again.
"""

import http.client
import io
import struct
import threading
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests import icc
from tests.fakes import PATH
from tests.hostile import heif

BODY_BYTES = 39_000_000  # just below the service's default limit
_PAUSE_S = 0.01
_TIMEOUT_S = 60


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """`image` as a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def ramp(width: int, height: int) -> Image.Image:
    """A picture with some detail."""
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x % 256, y % 256, (x * y) % 251], -1).astype(np.uint8))


# TIFF

_TYPES = {"B": (1, "<u1"), "H": (3, "<u2"), "I": (4, "<u4")}
Tags: TypeAlias = dict[int, tuple[str, Sequence[int] | NDArray[Any]]]


def tiff(tags: Tags, body: bytes = b"", following: int = 0) -> bytes:
    """A little-endian TIFF whose directory comes after `body`, which begins at byte 8."""
    body += bytes(len(body) % 2)
    start = 8 + len(body)
    position = start + 2 + 12 * len(tags) + 4
    entries, outside = b"", []
    for tag, (kind, values) in sorted(tags.items()):
        number, dtype = _TYPES[kind]
        content = np.asarray(values, dtype).tobytes()
        entries += struct.pack("<HHI", tag, number, len(values))
        if len(content) <= 4:
            entries += content.ljust(4, b"\0")
        else:
            entries += struct.pack("<I", position)
            outside.append(content)
            position += len(content)
    head = b"II*\0" + struct.pack("<I", start) + body + struct.pack("<H", len(tags))
    return head + entries + struct.pack("<I", following) + b"".join(outside)


def grey_tags(width: int, height: int, compression: int = 1) -> Tags:
    """The tags of an 8-bit grey picture, except those of its strips."""
    return {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [8]),
        259: ("H", [compression]),
        262: ("H", [1]),
        277: ("H", [1]),
    }


def long_strip_table(strips: int = 1_500_000) -> bytes:
    """A picture one pixel wide, each row of which is a strip."""
    offsets = np.full(strips, 8)
    strip: Tags = {278: ("I", [1]), 273: ("I", offsets), 279: ("I", np.ones(strips))}
    return tiff(grey_tags(1, strips) | strip, bytes(16))


def useless_tag(values: int = 9_000_000) -> bytes:
    """A small picture with one long tag that nobody needs."""
    tags = grey_tags(8, 8) | {273: ("I", [8]), 278: ("I", [8]), 279: ("I", [64])}
    return tiff(tags | {65000: ("I", np.arange(values))}, bytes(64))


def many_tags(tags: int = 65_000) -> bytes:
    """A directory as long as one can be."""
    strip = {273: ("I", [8]), 278: ("I", [8]), 279: ("I", [64])}
    return tiff(
        grey_tags(8, 8) | strip | {n: ("H", [0]) for n in range(500, 500 + tags)}, bytes(64)
    )


def endless_pages() -> bytes:
    """A directory that is followed by itself."""
    tags = grey_tags(8, 8) | {254: ("I", [1])}
    return tiff(tags | {273: ("I", [8]), 278: ("I", [8]), 279: ("I", [64])}, bytes(64), 72)


def overlapping_strips(strips: int = 20_000, body_bytes: int = 20_000_000) -> bytes:
    """Strips that are all the same large part of the file."""
    tags = grey_tags(64, strips, 8) | {278: ("I", [1])}
    tags |= {273: ("I", np.full(strips, 8)), 279: ("I", np.full(strips, body_bytes))}
    return tiff(tags, zlib.compress(bytes(64)).ljust(body_bytes, b"\0"))


def deflate_strip_bomb(inflated: int = 400_000_000) -> bytes:
    """A strip that holds far more than its picture."""
    deflater = zlib.compressobj(9)
    block = bytes(10_000_000)
    body = b"".join(deflater.compress(block) for _ in range(inflated // len(block)))
    body += deflater.flush()
    tags = grey_tags(64, 64, 8) | {278: ("I", [64])}
    return tiff(tags | {273: ("I", [8]), 279: ("I", [len(body)])}, body)


def huge_tile() -> bytes:
    """A pixel in a tile of 2.5 gigapixels."""
    tags = grey_tags(1, 1, 8) | {322: ("I", [50_000]), 323: ("I", [50_000])}
    body = zlib.compress(bytes(1000))
    return tiff(tags | {324: ("I", [8]), 325: ("I", [len(body)])}, body)


def tiff_with_stream(stream: bytes, compression: int, width: int, height: int) -> bytes:
    """A TIFF of one strip, which is a file of another format."""
    tags = grey_tags(width, height, compression) | {278: ("I", [height])}
    if compression != 7:
        tags |= {258: ("H", [8, 8, 8]), 262: ("H", [2]), 277: ("H", [3])}
    return tiff(tags | {273: ("I", [8]), 279: ("I", [len(stream)])}, stream)


def overlapping_pages(pages: int = 1_000, tags: int = 4_096) -> bytes:
    """Directories of smaller versions, each beginning one tag behind the one before."""
    first = tiff(
        grey_tags(8, 8) | {254: ("I", [1]), 273: ("I", [8]), 278: ("I", [8]), 279: ("I", [64])},
        bytes(64),
    )
    data = bytearray(first)
    base = len(data)
    struct.pack_into("<I", data, base - 4, base)
    # A record is the number of tags of the directory that begins with it, and that directory's
    # first tag: 254, of type 4, one value, which goes on in the next record.
    data += struct.pack("<HHHIH", tags, 254, 4, 1, 1) * (pages + tags + 1)
    for page in range(pages):  # where a directory says which one follows
        struct.pack_into("<I", data, base + 12 * (page + tags) + 2, base + 12 * (page + 1))
    return bytes(data)


def wide_tiles(tiles: int = 2_000, width: int = 1 << 22) -> bytes:
    """A picture one pixel wide, each row of which is a tile of 4 MP."""
    tile = zlib.compress(bytes(width), 9)
    places: Tags = {
        324: ("I", 8 + len(tile) * np.arange(tiles)),
        325: ("I", np.full(tiles, len(tile))),
    }
    tags = grey_tags(1, tiles, 8) | {322: ("I", [width]), 323: ("I", [1])}
    return tiff(tags | places, tile * tiles)


def strips_with_streams(
    stream: bytes, compression: int, strips: int, size: tuple[int, int]
) -> bytes:
    """A TIFF whose strips are all copies of a file of another format of this width and height."""
    stream += bytes(len(stream) % 2)
    width, height = size
    tags = grey_tags(width, height * strips, compression) | {278: ("I", [height])}
    if compression != 7:
        tags |= {258: ("H", [8, 8, 8]), 262: ("H", [2]), 277: ("H", [3])}
    places: Tags = {
        273: ("I", 8 + len(stream) * np.arange(strips)),
        279: ("I", np.full(strips, len(stream))),
    }
    return tiff(tags | places, stream * strips)


# JPEG


def with_scans(jpeg: bytes, scans: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:-2] + jpeg[last:-2] * scans + jpeg[-2:]


def many_scans(width: int, height: int, scans: int) -> bytes:
    """A progressive grey JPEG of a plain picture with that many scans."""
    plain = Image.new("L", (width, height), 128)
    return with_scans(saved(plain, "JPEG", progressive=True), scans)


def mpo_of_many_scans(scans: int = 40_000) -> bytes:
    """The same in a file of several pictures."""
    first, second = Image.new("L", (64, 64), 128), Image.new("L", (8, 8), 128)
    mpo = saved(first, "MPO", save_all=True, append_images=[second], progressive=True)
    end = mpo.index(b"\xff\xd9") + 2
    return with_scans(mpo[:end], scans) + mpo[end:]


def segments(marker: int, content: bytes, count: int) -> bytes:
    """A JPEG with `count` segments before its picture."""
    jpeg = saved(ramp(64, 64), "JPEG")
    one = bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content
    return jpeg[:2] + one * count + jpeg[2:]


def jpeg_with_empty_segments(count: int) -> bytes:
    """A plain grey JPEG of 64 x 16 px with that many comments before its picture."""
    jpeg = saved(Image.new("L", (64, 16), 128), "JPEG")
    return jpeg[:2] + b"\xff\xfe\0\2" * count + jpeg[2:]


def with_circular_exif(kind: str, entries: int = 1_000) -> bytes:
    """A grey image of 64 x 16 px whose EXIF is a long directory that leads to itself."""
    links = [struct.pack("<HHII", tag, 4, 1, 8) for tag in (0x8769, 0xA005)]
    others = [struct.pack("<HHII", tag, 4, 1, 0) for tag in range(2, entries)]
    directory = struct.pack("<H", entries) + b"".join(links + others) + bytes(4)
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + directory
    return saved(Image.new("L", (64, 16), 128), kind, exif=exif)


def many_tables(tables: int = 600_000) -> bytes:
    """A grey JPEG that defines its quantization table that many times."""
    jpeg = saved(ramp(64, 64).convert("L"), "JPEG")
    table = bytes((0, *[1] * 64))
    segment = b"\xff\xdb" + struct.pack(">H", 2 + 1_000 * len(table)) + table * 1_000
    return jpeg[:2] + segment * (tables // 1_000) + jpeg[2:]


# PNG


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk with its length and checksum."""
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def png_with(*chunks: bytes) -> bytes:
    """A small PNG with further chunks after its header."""
    png = saved(ramp(64, 64), "PNG")
    return png[:33] + b"".join(chunks) + png[33:]


def long_rationals(digits: int = 1_200_000) -> bytes:
    """EXIF whose numbers have as many digits as fit."""
    head = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 282, 5, digits // 8, 26, 0)
    return png_with(chunk(b"eXIf", head + b"\xff" * digits))


def compressed_chunk_bomb(name: bytes, inflated: int = 400_000_000) -> bytes:
    """A text or profile that inflates to 400 MB."""
    deflater = zlib.compressobj(9)
    block = b"1" * 10_000_000
    packed = b"".join(deflater.compress(block) for _ in range(inflated // len(block)))
    keyword = b"Raw profile type exif" if name == b"zTXt" else b"icc"
    return png_with(chunk(name, keyword + b"\0\0" + packed + deflater.flush()))


def many_raw_exif_bombs(count: int = 9_000) -> bytes:
    """Compressed texts of 4 MB each that say they are EXIF and are not."""
    text = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(4_000_000), 9))
    return png_with(text * count)


def profile_of_many_stages(stages: int = 300_000) -> bytes:
    """A colour profile that sends every colour through that many matrices."""
    numbers = np.array([1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0], ">f4").tobytes()
    matrix = b"matf" + bytes(4) + struct.pack(">HH", 3, 3) + numbers
    start = 16 + 8 * stages
    table = b"mpet" + bytes(4) + struct.pack(">HHI", 3, 3, stages)
    table += struct.pack(">II", start, len(matrix)) * stages + matrix
    profile = icc.profile_with({b"D2B0": table, b"D2B1": table})
    return png_with(chunk(b"iCCP", b"icc\0\0" + zlib.compress(profile)))


def surplus_pixels(inflated: int = 400_000_000) -> bytes:
    """Pixels for many more rows than there are."""
    deflater = zlib.compressobj(9)
    block = bytes(10_000_000)
    packed = b"".join(deflater.compress(block) for _ in range(inflated // len(block)))
    header = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", packed + deflater.flush())
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


# GIF, WebP, BMP


def gif_of_tiny_blocks(blocks: int = BODY_BYTES // 2) -> bytes:
    """A comment in blocks of one byte."""
    gif = saved(ramp(64, 64).quantize(16), "GIF")
    first = gif.index(b"\x2c", 13 + 3 * 16)
    return gif[:first] + b"\x21\xfe" + b"\x01a" * blocks + b"\0" + gif[first:]


def gif_of_stray_bytes(count: int = BODY_BYTES) -> bytes:
    """Bytes that belong to nothing before the picture."""
    gif = saved(ramp(64, 64).quantize(16), "GIF")
    return gif[: 13 + 3 * 16] + b"\x07" * count


def gif_of_many_frames(frames: int = 1_000_000) -> bytes:
    """One small frame after the other."""
    gif = saved(Image.new("P", (1, 1)), "GIF")
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return gif[:-1] + frame * frames + b";"


def webp_of_tiny_chunks(chunks: int = BODY_BYTES // 8) -> bytes:
    """Chunks without content."""
    webp = saved(ramp(64, 64), "WEBP")
    body = webp[12:] + (b"junk" + bytes(4)) * chunks
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def junk_webp(chunks: int) -> bytes:
    """A small lossless WebP with that many empty chunks behind its picture."""
    webp = saved(Image.new("RGB", (64, 16)), "WEBP", lossless=True)
    body = webp[12:] + (b"junk" + bytes(4)) * chunks
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def webp_of_many_frames(frames: int = 500_000) -> bytes:
    """One small frame after the other."""
    two = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    webp = saved(two[0], "WEBP", save_all=True, append_images=two[1:], lossless=True)
    last = webp.rindex(b"ANMF")
    body = webp[12:last] + webp[last:] * frames
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def run_length_bmp(size: int = 20_000_000, run: bytes = b"\0\2\0\0") -> bytes:
    """A picture of 49 MP in runs that get nowhere, or `run` again and again."""
    header = struct.pack("<IiiHHIIiiII", 40, 7000, 7000, 1, 8, 1, size, 0, 0, 256, 0)
    offset = 14 + 40 + 1024
    head = b"BM" + struct.pack("<IHHI", offset + size, 0, 0, offset)
    return head + header + bytes(1024) + run * (size // len(run))


FILES: dict[str, Callable[[], bytes]] = {
    "tiff-long-strip-table": long_strip_table,
    "tiff-longer-strip-table": partial(long_strip_table, 4_800_000),
    "tiff-useless-tag": useless_tag,
    "tiff-many-tags": many_tags,
    "tiff-endless-pages": endless_pages,
    "tiff-overlapping-strips": overlapping_strips,
    "tiff-deflate-bomb": deflate_strip_bomb,
    "tiff-huge-tile": huge_tile,
    "tiff-jpeg-scans": lambda: tiff_with_stream(many_scans(64, 64, 5_000), 7, 64, 64),
    "tiff-jpeg-larger": lambda: tiff_with_stream(many_scans(5000, 5000, 1), 7, 64, 64),
    "tiff-webp-larger": lambda: tiff_with_stream(
        saved(Image.new("RGB", (5000, 5000)), "WEBP", method=0), 50001, 64, 64
    ),
    "tiff-overlapping-pages": overlapping_pages,
    "tiff-wide-tiles": wide_tiles,
    "tiff-jpeg-strips-of-segments": lambda: strips_with_streams(
        jpeg_with_empty_segments(8_000), 7, 1_100, (64, 16)
    ),
    "tiff-jpeg-strips-of-scans": lambda: strips_with_streams(
        many_scans(7000, 70, 80), 7, 100, (7000, 70)
    ),
    "tiff-jpeg-strips-of-exif": lambda: strips_with_streams(
        with_circular_exif("JPEG"), 7, 3_000, (64, 16)
    ),
    "tiff-webp-strips-of-exif": lambda: strips_with_streams(
        with_circular_exif("WEBP"), 50001, 3_000, (64, 16)
    ),
    "tiff-webp-strips-of-chunks": lambda: strips_with_streams(
        junk_webp(4_000), 50001, 1_100, (64, 16)
    ),
    "jpeg-100-scans-49-mp": partial(many_scans, 7000, 7000, 90),
    "jpeg-scans": partial(many_scans, 64, 64, 40_000),
    "mpo-scans": mpo_of_many_scans,
    "jpeg-exif-segments": partial(segments, 0xE1, b"Exif\0\0" + bytes(6_500), 6_000),
    "jpeg-empty-segments": partial(segments, 0xFE, b"", BODY_BYTES // 4),
    "jpeg-many-tables": many_tables,
    "jpeg-fill-bytes": lambda: b"\xff\xd8" + b"\xff" * BODY_BYTES,
    "png-long-rationals": long_rationals,
    "png-longer-rationals": partial(long_rationals, BODY_BYTES - 100_000),
    "png-text-bomb": partial(compressed_chunk_bomb, b"zTXt"),
    "png-many-raw-exif-bombs": many_raw_exif_bombs,
    "png-profile-bomb": partial(compressed_chunk_bomb, b"iCCP"),
    "png-profile-of-many-stages": profile_of_many_stages,
    "png-many-chunks": lambda: png_with(chunk(b"teSt", b"") * (BODY_BYTES // 12)),
    "png-many-texts": lambda: png_with(chunk(b"tEXt", b"a\0b") * (BODY_BYTES // 15)),
    "png-surplus-pixels": surplus_pixels,
    "gif-tiny-blocks": gif_of_tiny_blocks,
    "gif-stray-bytes": gif_of_stray_bytes,
    "gif-many-frames": gif_of_many_frames,
    "webp-tiny-chunks": webp_of_tiny_chunks,
    "webp-many-frames": webp_of_many_frames,
    "bmp-run-lengths": run_length_bmp,
    "bmp-empty-rows": lambda: run_length_bmp(14_000, b"\0\0"),
    **heif.FILES,
}


def post_again_and_again(make: Callable[[], bytes], port: int, stop: threading.Event) -> None:
    """Post a file to the service at 127.0.0.1 until `stop` is set, whatever it answers."""
    body = make()
    headers = {"Content-Type": "application/octet-stream", "Accept": "image/png"}
    while not stop.is_set():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
        try:
            connection.request("POST", PATH, body, headers)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        stop.wait(_PAUSE_S)


ATTACKS: dict[str, Callable[[int, threading.Event], None]] = {
    name: partial(post_again_and_again, make) for name, make in FILES.items()
}
