"""HEIF and AVIF: sizes in boxes and in streams, transformations, sequences."""

import io
import struct
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from rmbg_service.errors import InvalidImage, UnknownFormat
from rmbg_service.imaging.decode import decode
from rmbg_service.imaging.formats import bitstream
from rmbg_service.imaging.formats.header import Parts
from rmbg_service.imaging.formats.isobmff import read_items
from rmbg_service.imaging.orientation import turn_upright
from rmbg_service.imaging.probe import probe
from rmbg_service.imaging.source import ImageInfo, SourceImage
from tests.hostile.images import ramp, saved

SIZES = [(1, 1), (3, 17), (16, 16), (64, 48), (101, 63), (513, 200)]


def heif(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, **options)
    return buffer.getvalue()


def decoded(data: bytes) -> SourceImage:
    return decode(data, probe(data, 10**6))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "options", [{}, {"subsampling": "4:4:4"}, {"subsampling": "4:0:0"}, {"speed": 10}]
)
def test_the_size_of_an_av1_stream(size: tuple[int, int], options: dict[str, Any]) -> None:
    data = saved(ramp(*size), "AVIF", **options)
    items = read_items(data)
    (start, length), *_ = items[items.primary].extents
    units = list(bitstream._obus(data[start : start + length], Parts()))
    sizes = [bitstream._sequence_size(unit) for kind, unit in units if kind == 1]
    assert sizes == [size]
    assert decoded(data).rgb.shape == (size[1], size[0], 3)


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("options", [{}, {"chroma": 444}, {"quality": 20}, {"save_as_brand": ""}])
def test_the_size_of_an_hevc_stream(size: tuple[int, int], options: dict[str, Any]) -> None:
    data = heif(ramp(*size), **options)
    items = read_items(data)
    configuration = items[items.primary].property(b"hvcC")
    assert configuration is not None
    units = list(bitstream._units_of_configuration(configuration, Parts()))
    sizes = [bitstream._sps_size(unit) for unit in units if unit[0] >> 1 & 0x3F == 33]
    assert len(sizes) == 1
    assert 0 <= sizes[0][0] - size[0] < 64
    assert 0 <= sizes[0][1] - size[1] < 64
    assert decoded(data).rgb.shape == (size[1], size[0], 3)


def test_ten_bits_and_grey_are_read() -> None:
    deep = pillow_heif.from_bytes("RGB;16", (32, 16), bytes(32 * 16 * 6))
    buffer = io.BytesIO()
    deep.save(buffer)
    assert decoded(buffer.getvalue()).rgb.shape == (16, 32, 3)
    assert decoded(heif(ramp(40, 30).convert("L"))).rgb.shape == (30, 40, 3)


def with_property(data: bytes, name: bytes, content: bytes) -> bytes:
    """An AVIF of one picture with a further property on it."""
    box = struct.pack(">I4s", 8 + len(content), name) + content
    out = bytearray(data)
    ipma = data.index(b"ipma")
    count_at = ipma + 4 + 4 + 4 + 2
    number = read_number_of_properties(data) + 1
    out[count_at] += 1
    out[ipma + 4 + 4 + 4 + 3 + data[count_at] : ipma + 4 + 4 + 4 + 3 + data[count_at]] = bytes(
        (0x80 | number,)
    )
    ipco = data.index(b"ipco")
    end = ipco - 4 + struct.unpack_from(">I", data, ipco - 4)[0]
    out[end:end] = box
    for name_of_parent, added in (
        (b"ipma", 1),
        (b"ipco", len(box)),
        (b"iprp", len(box) + 1),
        (b"meta", len(box) + 1),
    ):
        at = bytes(out).index(name_of_parent) - 4
        struct.pack_into(">I", out, at, struct.unpack_from(">I", out, at)[0] + added)
    return move_items(bytes(out), len(box) + 1)


def read_number_of_properties(data: bytes) -> int:
    ipco = data.index(b"ipco")
    position, end = ipco + 4, ipco - 4 + struct.unpack_from(">I", data, ipco - 4)[0]
    count = 0
    while position < end:
        position += struct.unpack_from(">I", data, position)[0]
        count += 1
    return count


def move_items(data: bytes, by: int) -> bytes:
    """Add to the offsets in `iloc`, of version 0 with offsets of 4 bytes and no base."""
    out = bytearray(data)
    iloc = data.index(b"iloc") + 4
    assert data[iloc] == 0
    assert data[iloc + 4 : iloc + 6] == b"\x44\x00"
    (items,) = struct.unpack_from(">H", data, iloc + 6)
    position = iloc + 8
    for _ in range(items):
        (extents,) = struct.unpack_from(">H", data, position + 4)
        position += 6
        for _ in range(extents):
            struct.pack_into(">I", out, position, struct.unpack_from(">I", data, position)[0] + by)
            position += 8
    return bytes(out)


CROP = struct.pack(">IIIIiIiI", 40, 1, 20, 1, 5, 1, -3, 1)  # 40 x 20, off the centre


def test_a_clean_aperture_is_cut_out_of_an_avif() -> None:
    data = saved(ramp(64, 48), "AVIF", quality=100, subsampling="4:4:4")
    whole = decoded(data)
    cropped = decoded(with_property(data, b"clap", CROP))
    assert cropped.info == ImageInfo("avif", 40, 20)
    left, top = 12 + 5, 14 - 3
    assert (cropped.rgb == whole.rgb[top : top + 20, left : left + 40]).all()


def test_an_aperture_outside_the_picture_is_ignored() -> None:
    data = saved(ramp(64, 48), "AVIF")
    for crop in (struct.pack(">IIIIiIiI", 400, 1, 20, 1, 0, 1, 0, 1), bytes(32)):
        assert probe(with_property(data, b"clap", crop), 10**6) == ImageInfo("avif", 64, 48)


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
@pytest.mark.parametrize("angle", range(4))
def test_probe_and_decode_agree_on_turns(kind: str, angle: int) -> None:
    data = saved(ramp(64, 48), kind, quality=100)
    if kind == "HEIF":
        exif = Image.Exif()
        exif[0x0112] = (1, 8, 3, 6)[angle]
        data = saved(ramp(64, 48), kind, quality=100, exif=exif.tobytes())
        expected = decoded(saved(ramp(64, 48), kind, quality=100)).rgb
    else:
        expected = decoded(data).rgb
        data = with_property(data, b"irot", bytes((angle,)))
    source = decoded(data)
    assert source.rgb.shape[:2] == (source.info.height, source.info.width)
    assert (source.rgb == turn_upright(expected, (1, 8, 3, 6)[angle])).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_mirrors_of_an_avif(axis: int) -> None:
    data = saved(ramp(64, 48), "AVIF", quality=100)
    expected = decoded(data).rgb
    expected = expected[:, ::-1] if axis else expected[::-1]
    assert (decoded(with_property(data, b"imir", bytes((axis,)))).rgb == expected).all()


def test_what_a_file_says_of_itself_must_be_there() -> None:
    data = saved(ramp(64, 48), "AVIF")
    for name, other in (
        (b"ispe", b"free"),
        (b"pitm", b"free"),
        (b"iloc", b"free"),
        (b"av01", b"unci"),
    ):
        with pytest.raises(InvalidImage):
            decoded(data.replace(name, other))


def test_a_film_is_told_from_a_picture() -> None:
    film = struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + struct.pack(">I4s", 8, b"mdat")
    with pytest.raises(UnknownFormat, match="no still image"):
        probe(film, 1_000_000)


def test_a_stream_of_many_pictures_is_refused() -> None:
    data = saved(ramp(64, 48), "AVIF")
    items = read_items(data)
    (start, length), *_ = items[items.primary].extents
    with pytest.raises(InvalidImage, match="a sequence"):
        bitstream.check_av1(data[start : start + length] * 9, 64 * 64, Parts())
    data = heif(ramp(64, 48))
    items = read_items(data)
    (start, length), *_ = items[items.primary].extents
    configuration = items[items.primary].property(b"hvcC")
    assert configuration is not None
    bitstream.check_hevc(data[start : start + length], configuration, 64 * 64, Parts())
    with pytest.raises(InvalidImage, match="a sequence"):
        bitstream.check_hevc(data[start : start + length] * 2, configuration, 64 * 64, Parts())
    with pytest.raises(InvalidImage, match="larger than the file says"):
        bitstream.check_hevc(data[start : start + length], configuration, 1000, Parts())


SEQUENCE = bytes((0x0A, 7)) + int("000 0 0 0 0 00000 000000000000 00000 0101 0101 111111 111111"
    .replace(" ", "").ljust(56, "0"), 2).to_bytes(7, "big")  # fmt: skip
SHOWN, HIDDEN = (bytes((0x32, 1, first)) for first in (0x10, 0x00))


def test_frames_that_are_not_shown_are_refused() -> None:
    bitstream.check_av1(SEQUENCE + SHOWN * 4, 64 * 64, Parts())
    with pytest.raises(InvalidImage, match="a sequence"):
        bitstream.check_av1(SEQUENCE + SHOWN * 5, 64 * 64, Parts())
    with pytest.raises(InvalidImage, match="hidden frames"):
        bitstream.check_av1(SEQUENCE + HIDDEN + SHOWN, 64 * 64, Parts())
    with pytest.raises(InvalidImage, match="larger"):
        bitstream.check_av1(SEQUENCE + SHOWN, 64 * 64 - 1, Parts())


def test_alpha_is_read() -> None:
    rgba = ramp(64, 48)
    rgba.putalpha(128)
    for kind in ("AVIF", "HEIF"):
        data = saved(rgba, kind)
        alpha = decoded(data).alpha
        assert alpha is not None
        assert np.abs(alpha.astype(int) - 128).max() <= 2
