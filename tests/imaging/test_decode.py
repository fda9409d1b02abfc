import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from rmbg_service.errors import ImageTooLarge, InvalidImage
from rmbg_service.imaging.decode import decode, from_pillow
from rmbg_service.imaging.probe import probe
from rmbg_service.imaging.source import ImageInfo
from tests import icc
from tests.fakes import picture_bytes

LIMIT = 1_000_000
FORMATS = ["JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "BMP", "TIFF"]


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_every_accepted_format_is_probed_and_decoded(kind: str) -> None:
    data = picture_bytes((60, 40), kind)
    info = probe(data, LIMIT)
    assert info == ImageInfo(kind.lower(), 60, 40)
    source = decode(data, info)
    assert source.rgb.shape == (40, 60, 3)
    assert source.rgb.dtype == np.uint8
    red = source.rgb[20, :, 0].astype(int)  # a ramp from left to right, whatever the compression
    assert red[0] < 30
    assert red[-1] > 225
    assert np.all(np.diff(red[::10]) > 15)


def test_other_formats_are_refused_even_if_pillow_knows_them() -> None:
    for kind in ("PPM", "ICO", "TGA"):
        with pytest.raises(InvalidImage, match="not a readable image"):
            probe(picture_bytes((32, 32), kind), LIMIT)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_exif_orientation_gives_the_same_upright_picture(kind: str, orientation: int) -> None:
    upright = np.zeros((40, 60, 3), np.uint8)
    upright[:20, :30] = (250, 20, 20)  # red top left, blue bottom right
    upright[20:, 30:] = (20, 20, 250)
    stored_as = {  # what a camera stores so that `orientation` turns it upright
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation](upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"quality": 95} if kind == "JPEG" else {}
    data = saved(
        Image.fromarray(np.ascontiguousarray(stored_as)), kind, exif=exif.tobytes(), **options
    )
    info = probe(data, LIMIT)
    assert (info.width, info.height) == (60, 40)
    difference = np.abs(decode(data, info).rgb.astype(int) - upright)
    # Away from the colour borders, which lossy formats blur.
    for rows, columns in ((slice(4, 16), slice(4, 26)), (slice(24, 36), slice(34, 56))):
        assert difference[rows, columns].max() <= 12


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(8, 0)
    data = saved(Image.fromarray(ramp))
    rgb = decode(data, probe(data, LIMIT)).rgb
    assert (rgb[0, :, 0] == np.arange(256)).all()


def test_transparency_comes_apart_from_colour() -> None:
    rgba = np.full((4, 4, 4), 200, np.uint8)
    rgba[..., 3] = 128
    source = decode(saved(Image.fromarray(rgba)), ImageInfo("png", 4, 4))
    assert (source.rgb == 200).all()
    assert source.alpha is not None
    assert (source.alpha == 128).all()
    palette = Image.fromarray(rgba[..., :3]).quantize(4)
    data = saved(palette, transparency=palette.getpixel((0, 0)))
    source = decode(data, probe(data, LIMIT))
    assert source.alpha is not None
    assert (source.alpha == 0).all()


def png(
    depth: int, kind: int, pixels: bytes, transparent: tuple[int, ...], icc: bytes = b""
) -> bytes:
    """A PNG of one row and two pixels with a tRNS chunk, which Pillow cannot write like this."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", 2, 1, depth, kind, 0, 0, 0)
    profile = chunk(b"iCCP", b"grey\0\0" + zlib.compress(icc)) if icc else b""
    key = chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent))
    rows = chunk(b"IDAT", zlib.compress(b"\0" + pixels))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + profile + key + rows + chunk(b"IEND", b"")
    )


GREY, RGB = 0, 2


@pytest.mark.parametrize(
    ("depth", "kind", "pixels", "transparent", "levels"),
    [
        (1, GREY, b"\x80", (1,), (255, 0)),
        (2, GREY, b"\x70", (1,), (85, 255)),
        (4, GREY, b"\x5f", (5,), (85, 255)),
        (8, GREY, b"\x09\xc8", (9,), (9, 200)),
        (16, GREY, struct.pack(">2H", 1000, 60000), (1000,), (4, 233)),
        (8, RGB, b"\x01\x02\x03\x09\x09\x09", (1, 2, 3), (1, 9)),
        (16, RGB, struct.pack(">6H", 1000, 2000, 3000, 60000, 1, 2), (1000, 2000, 3000), (3, 234)),
        (16, RGB, struct.pack(">6H", 5, 5, 5, 60000, 1, 2), (5, 5, 5), (0, 234)),
    ],
)
def test_the_transparent_colour_of_a_png_of_every_depth(
    depth: int, kind: int, pixels: bytes, transparent: tuple[int, ...], levels: tuple[int, int]
) -> None:
    data = png(depth, kind, pixels, transparent)
    source = decode(data, probe(data, LIMIT))
    assert source.rgb[0, :, 0].tolist() == list(levels)
    assert source.alpha is not None
    assert source.alpha.tolist() == [[0, 255]]


def test_a_grey_profile_counts_beside_a_transparent_colour() -> None:
    profile = icc.grey_profile()
    data = png(8, GREY, b"\x09\x80", (9,), profile)
    plain = saved(Image.new("L", (1, 1), 128), icc_profile=profile)
    source = decode(data, probe(data, LIMIT))
    assert (source.rgb[0, 1] == decode(plain, probe(plain, LIMIT)).rgb[0, 0]).all()
    assert source.rgb[0, 1, 0] > 180, "linear light"
    assert source.alpha is not None
    assert source.alpha.tolist() == [[0, 255]]


def test_16_bit_grey_is_rounded() -> None:
    deep = np.array([[65534, 128 * 257 + 200, 128 * 257 + 100]], np.uint16)
    assert from_pillow(Image.fromarray(deep)).rgb[0, :, 0].tolist() == [255, 129, 128]


def test_more_pixels_than_allowed_are_refused_from_the_header() -> None:
    bomb = saved(Image.new("1", (4000, 4000)))
    assert len(bomb) < 3000
    with pytest.raises(ImageTooLarge, match="4000 x 4000"):
        probe(bomb, LIMIT)


def test_a_file_far_beyond_every_bound_is_told_the_one_that_counts() -> None:
    data = bytearray(saved(Image.new("1", (8, 8))))
    data[16:24] = struct.pack(">II", 30_000, 30_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(ImageTooLarge, match=f"at most {LIMIT:,}"):
        probe(bytes(data), LIMIT)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_truncated_file_is_refused(kind: str) -> None:
    data = picture_bytes((256, 256), kind)
    half = data[: len(data) // 2]
    with pytest.raises(InvalidImage):
        decode(half, probe(half, LIMIT))


def test_a_jpeg_may_lack_the_marker_of_its_end_and_nothing_else() -> None:
    data = picture_bytes((256, 256), "JPEG")
    assert data[-2:] == b"\xff\xd9"
    unended = data[:-2]
    assert (
        decode(unended, probe(unended, LIMIT)).rgb == decode(data, probe(data, LIMIT)).rgb
    ).all()
    progressive = picture_bytes((256, 256), "JPEG", progressive=True)
    last_scan = progressive.rindex(b"\xff\xda")
    for cut in (data[:-8], data[: len(data) // 2], progressive[:-2], progressive[:last_scan]):
        with pytest.raises(InvalidImage, match="truncated"):
            decode(cut, probe(cut, LIMIT))


def with_a_scan_for_each_component(side: int) -> bytes:
    """A baseline JPEG of noise in three scans, which follow each other directly."""
    noise = np.random.default_rng(0).integers(0, 256, (3, side, side), np.uint8)
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, side, side, 3)
    frame += b"".join(bytes((number, 0x11, 0)) for number in (1, 2, 3))
    scans = []
    for number, plane in enumerate(noise, 1):
        buffer = io.BytesIO()
        Image.fromarray(plane).save(buffer, "JPEG")
        grey = buffer.getvalue()
        start, scan = grey.index(b"\xff\xc0"), grey.index(b"\xff\xda")
        scans.append(grey[scan : scan + 5] + bytes((number,)) + grey[scan + 6 : -2])
    head = grey[:start] + frame + grey[start + 13 : scan]
    return head + b"".join(scans) + b"\xff\xd9"


def test_a_jpeg_of_several_scans_may_not_lack_one() -> None:
    data = with_a_scan_for_each_component(64)
    decode(data, probe(data, LIMIT))
    second, third = (data.index(b"\xff\xda\0\x08\1" + bytes((number,))) for number in (2, 3))
    for cut in (data[:second], data[:third]):
        with pytest.raises(InvalidImage, match="truncated"):
            decode(cut, probe(cut, LIMIT))


def bmp_with_alpha(bgra: NDArray[np.uint8]) -> bytes:
    """A BMP with a header of version 5, whose masks say that the fourth byte is alpha."""
    height, width = bgra.shape[:2]
    head = struct.pack("<IiiHHIIiiII", 124, width, height, 1, 32, 3, 0, 2835, 2835, 0, 0)
    head += struct.pack("<IIII4s", 0xFF0000, 0xFF00, 0xFF, 0xFF000000, b"BGRs") + bytes(64)
    rows = bgra[::-1].tobytes()
    return b"BM" + struct.pack("<IHHI", 14 + 124 + len(rows), 0, 0, 14 + 124) + head + rows


def test_alpha_of_a_bmp_counts_unless_all_of_it_is_0() -> None:
    bgra = np.full((4, 6, 4), (10, 20, 200, 255), np.uint8)
    bgra[:, :3, 3] = 0
    data = bmp_with_alpha(bgra)
    source = decode(data, probe(data, LIMIT))
    assert source.alpha is not None
    assert (source.alpha == bgra[..., 3]).all()
    bgra[..., 3] = 0  # an unused byte: no program would write an invisible image
    data = bmp_with_alpha(bgra)
    source = decode(data, probe(data, LIMIT))
    assert source.alpha is None
    assert (source.rgb == (200, 20, 10)).all()


def test_a_file_that_holds_more_than_it_said_is_refused() -> None:
    with pytest.raises(InvalidImage, match="more pixels"):
        decode(picture_bytes((64, 64)), ImageInfo("png", 8, 8))


def test_a_progressive_jpeg_with_hundreds_of_scans_is_refused_before_it_is_decoded() -> None:
    data = picture_bytes((256, 256), "JPEG", progressive=True)
    assert decode(data, probe(data, LIMIT)).rgb.shape == (256, 256, 3)
    last = data.rindex(b"\xff\xda")
    bomb = data[:-2] + data[last:-2] * 200 + data[-2:]
    with pytest.raises(InvalidImage, match="too many scans"):
        decode(bomb, probe(bomb, LIMIT))


def test_a_file_of_a_million_tiny_parts_is_refused_early() -> None:
    jpeg, png = picture_bytes(kind="JPEG"), picture_bytes(kind="PNG")
    comments = b"\xff\xfe\x00\x02" * 500_000
    chunk = b"\0\0\0\0teSt" + zlib.crc32(b"teSt").to_bytes(4, "big")
    for bomb in (jpeg[:2] + comments + jpeg[2:], png[:33] + chunk * 200_000 + png[33:]):
        with pytest.raises(InvalidImage):
            probe(bomb, LIMIT)


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "I;16"]


@pytest.mark.parametrize("mode", MODES)
def test_pillow_pictures_of_every_mode_are_taken(mode: str) -> None:
    if mode == "I;16":
        image = Image.new(mode, (8, 6), 65535)
    else:
        via = {"LA": "L", "RGBa": "RGBA"}.get(mode, "RGB")
        image = Image.new(via, (8, 6), "white").convert(mode)
    source = from_pillow(image)
    assert source.rgb.shape == (6, 8, 3)
    assert (source.rgb >= 254).all()
    with pytest.raises(InvalidImage):
        from_pillow(Image.new("F", (8, 6)))
