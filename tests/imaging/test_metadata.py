"""Metadata that is broken, huge or odd never costs the picture, and never turns it wrongly."""

import io
import struct
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from rmbg_service.imaging.colour import matching_profile
from rmbg_service.imaging.decode import decode, from_pillow
from rmbg_service.imaging.exif import colour_space_of, orientation_of
from rmbg_service.imaging.orientation import turn_upright
from rmbg_service.imaging.probe import probe
from rmbg_service.imaging.source import ImageInfo, SourceImage
from tests import icc
from tests.hostile.images import chunk, ramp, tiff_with_stream

PICTURE = ramp(60, 40)
PIXELS = np.asarray(PICTURE)


def saved(kind: str, image: Image.Image = PICTURE, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(data: bytes, keep: bool = False) -> SourceImage:
    return decode(data, probe(data, 10**7), keep_profile=keep)


def png(*chunks: bytes) -> bytes:
    data = saved("PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def exif(orientation: int, more: bytes = b"", entries: int = 1, order: str = "<") -> bytes:
    head = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return head + struct.pack(order + "IH", 8, entries) + more + entry + bytes(4)


X_RESOLUTION_AS_TEXT = struct.pack("<HHI4s", 0x011A, 2, 4, b"72\0\0")
MAKE_AS_RATIONAL = struct.pack("<HHII", 0x010F, 5, 1, 2**31)
BROKEN = {
    "empty": b"",
    "nonsense": b"nonsense",
    "header only": b"II*\0",
    "far directory": b"II*\0" + struct.pack("<I", 2**32 - 1),
    "cut entries": exif(1, entries=500)[:-8],
    "text": b"Exif\0\0" + b"\0\x11\0\0\1\4\0",
}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("number", [0, 1, 6, 8, 9, 255, 65535])
def test_only_orientations_from_1_to_8_count(number: int, order: str) -> None:
    expected = number if 1 <= number <= 8 else 1
    assert orientation_of(exif(number, order=order)) == expected
    assert orientation_of(b"Exif\0\0" + exif(number, order=order)) == expected


def test_orientation_may_be_stored_as_another_integer_but_not_as_text() -> None:
    for kind, packed in ((1, b"\6\0\0\0"), (4, b"\6\0\0\0")):
        entry = struct.pack("<HHI", 0x0112, kind, 1) + packed
        assert orientation_of(b"II*\0\x08\0\0\0\x01\0" + entry) == 6
    entry = struct.pack("<HHI4s", 0x0112, 2, 2, b"6\0\0\0")
    assert orientation_of(b"II*\0\x08\0\0\0\x01\0" + entry) == 1


def camera_exif(colour_space: int, rule: bytes, order: str = "<", orientation: int = 1) -> bytes:
    """EXIF with three directories, one in the other, as cameras write it."""
    head = b"Exif\0\0" + {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    short, pointer = order + "HHIHH", order + "HHII"
    first = struct.pack(short, 0x0112, 3, 1, orientation, 0)
    first += struct.pack(pointer, 0x8769, 4, 1, 38)
    second = struct.pack(short, 0xA001, 3, 1, colour_space, 0)
    second += struct.pack(pointer, 0xA005, 4, 1, 68)
    third = struct.pack(order + "HHI", 1, 2, 4) + rule
    third += struct.pack(order + "HHI", 2, 7, 4) + b"0100"
    return head + b"".join(
        struct.pack(order + "H", 2) + entries + bytes(4) for entries in (first, second, third)
    )


def adobe_rgb(rgb: Any) -> Any:
    """sRGB in [0, 255] of Adobe RGB (1998), by the matrices in its specification."""
    to_xyz = np.array(
        [[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]]
    )
    to_srgb = np.array(
        [[3.24045, -1.53714, -0.49853], [-0.96927, 1.87601, 0.04156], [0.05564, -0.20403, 1.05723]]
    )
    return icc.encode_srgb((rgb / 255.0) ** (563 / 256) @ to_xyz.T @ to_srgb.T)


PATCHES = np.array(
    [[[180, 60, 40], [120, 170, 90], [60, 80, 180], [128, 128, 128], [220, 200, 160]]], np.uint8
).repeat(16, 0).repeat(16, 1)  # fmt: skip
ADOBE = {"quality": 100, "subsampling": 0}


@pytest.mark.parametrize("order", "<>")
def test_a_camera_s_adobe_rgb_without_a_profile_is_converted(order: str) -> None:
    image = Image.fromarray(PATCHES)
    data = saved("JPEG", image, exif=camera_exif(0xFFFF, b"R03\0", order), **ADOBE)
    truth, inner = adobe_rgb(PATCHES), (slice(4, 12), slice(4, None, 16))
    assert icc.delta_e(decoded(data).rgb, truth)[inner].max() < 1.5  # JPEG is off by a level
    assert icc.delta_e(PATCHES, truth)[inner].max() > 5, "or the test would prove nothing"
    assert (from_pillow(Image.open(io.BytesIO(data))).rgb == decoded(data).rgb).all()
    kept = decoded(data, keep=True)
    assert kept.icc is not None
    assert np.abs(kept.rgb.astype(int) - PATCHES)[inner].max() <= 2


@pytest.mark.parametrize(
    "block",
    [
        camera_exif(1, b"R03\0"),
        camera_exif(0xFFFF, b"R98\0"),
        camera_exif(0xFFFF, b"R03\0")[:70],
        camera_exif(0xFFFF, b"R03\0")[:40],
        exif(1),
        *BROKEN.values(),
    ],
)
def test_all_other_exif_means_srgb(block: bytes) -> None:
    assert colour_space_of(block) is None


def test_a_profile_says_more_of_colours_than_exif() -> None:
    block = camera_exif(0xFFFF, b"R03\0", orientation=6)
    profile = icc.rgb_profile()
    data = saved("JPEG", Image.fromarray(PATCHES), exif=block, icc_profile=profile, **ADOBE)
    assert decoded(data, keep=True).icc == profile
    assert decoded(data).rgb.shape == (80, 16, 3)
    opened = Image.open(io.BytesIO(data))
    assert from_pillow(opened, keep_profile=True).icc == profile


def test_turning_leaves_the_alpha_plane_a_plane() -> None:
    plane = np.arange(6, dtype=np.uint8).reshape(2, 3)
    for orientation in range(1, 9):
        turned = turn_upright(plane, orientation)
        assert turned.shape == ((3, 2) if orientation >= 5 else (2, 3))
        back = {6: 8, 8: 6}.get(orientation, orientation)
        assert (turn_upright(turned, back) == plane).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("block", BROKEN.values(), ids=BROKEN)
def test_broken_exif_costs_nothing_but_itself(kind: str, block: bytes) -> None:
    lossless: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    block_before = Image.Exif()
    block_before[0x010E], block_before[0x0112] = "a description" * 30, 6
    data = saved(kind, exif=block_before.tobytes(), **lossless)
    at = data.index(block_before.tobytes()[6:10])
    broken = bytearray(data[:at] + block.ljust(300, b"\xff") + data[at + 300 :])
    if kind == "PNG":
        start = data.index(b"eXIf")
        end = start + 4 + struct.unpack_from(">I", data, start - 4)[0]
        struct.pack_into(">I", broken, end, zlib.crc32(broken[start:end]))
    source = decoded(bytes(broken))
    if kind == "AVIF":  # which says it beside EXIF too
        source = replace(source, rgb=turn_upright(source.rgb, 8))
    assert source.rgb.shape == (40, 60, 3)


@pytest.mark.parametrize("more", [X_RESOLUTION_AS_TEXT, MAKE_AS_RATIONAL])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_tag_that_cannot_be_written_again_does_not_hide_the_orientation(
    kind: str, more: bytes
) -> None:
    data = saved(kind, exif=b"Exif\0\0" + exif(6, more, 2))
    assert probe(data, 10**6) == ImageInfo(kind.lower(), 40, 60)
    assert decoded(data).rgb.shape == (60, 40, 3)


def raw_profile(text: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", text)
    return info


def test_the_orientation_in_a_png_s_text_is_read_by_probe_and_decode() -> None:
    block = b"Exif\0\0" + exif(6)
    for zipped in (False, True):
        info = PngImagePlugin.PngInfo()
        text = f"\nexif\n{len(block):8}\n{block.hex()}\n"
        info.add_text("Raw profile type exif", text, zip=zipped)
        data = saved("PNG", pnginfo=info)
        assert probe(data, 10**6) == ImageInfo("png", 40, 60)
        assert (decoded(data).rgb == turn_upright(PIXELS, 6)).all()
    for text in ("not hexadecimal", "\nexif\n 8\nxyz\n", "\nexif\n", "\nexif\n 4\n49492a\n"):
        assert (decoded(saved("PNG", pnginfo=raw_profile(text))).rgb == PIXELS).all()


def test_only_the_first_text_with_exif_of_a_png_is_inflated() -> None:
    block = b"Exif\0\0" + exif(6)
    info = raw_profile("not hexadecimal")
    info.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n", zip=True)
    assert (decoded(saved("PNG", pnginfo=info)).rgb == PIXELS).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_an_orientation_in_xmp_alone_turns_nothing(kind: str) -> None:
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
        b'"http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description tiff:Orientation="6" '
        b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/"/></rdf:RDF></x:xmpmeta>'
    )
    options: dict[str, Any] = {"tiffinfo": {700: xmp}} if kind == "TIFF" else {"xmp": xmp}
    if kind == "PNG":
        text = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp
        data = png(chunk(b"iTXt", text))
    else:
        data = saved(kind, **options)
    assert xmp in data
    assert (probe(data, 10**6).width, decoded(data).rgb.shape[1]) == (60, 60)


def zipped(name: bytes, content: bytes) -> bytes:
    return chunk(name, b"key\0\0" + zlib.compress(content))


BAD_CRC = chunk(b"tEXt", b"key\0text")[:-1] + b"\0"
SIDE_CHUNKS = {
    "large zTXt": zipped(b"zTXt", bytes(5_000_000)),
    "large iTXt": chunk(b"iTXt", b"key\0\1\0\0\0" + zlib.compress(bytes(5_000_000))),
    "large iCCP that is no profile": zipped(b"iCCP", bytes(2_000_000)),
    "bad checksum": BAD_CRC,
    "bad checksum of a profile": zipped(b"iCCP", icc.rgb_profile())[:-1] + b"\0",
    "unknown method": chunk(b"zTXt", b"key\0\7abc"),
    "unknown method of a profile": chunk(b"iCCP", b"key\0\7abc"),
    "cut profile": chunk(b"iCCP", b"key\0\0" + zlib.compress(icc.rgb_profile())[:-9]),
    "not zlib": chunk(b"iCCP", b"key\0\0abc"),
    "no name": chunk(b"iCCP", b"x" * 200),
    "empty": chunk(b"iCCP", b"") + chunk(b"eXIf", b"") + chunk(b"tIME", b""),
    "unknown": chunk(b"vpAg", b"12345"),
    "short tRNS": chunk(b"tRNS", b"\0\1")[:-1] + b"\0",
}


@pytest.mark.parametrize("side", SIDE_CHUNKS.values(), ids=SIDE_CHUNKS)
def test_a_png_s_side_chunks_cost_nothing_but_themselves(side: bytes) -> None:
    source = decoded(png(side))
    assert (source.rgb == PIXELS).all()
    assert source.alpha is None


def test_a_profile_above_a_megabyte_counts() -> None:
    large = icc.rgb_profile() + np.random.default_rng(0).bytes(1_400_000)
    source = decoded(png(zipped(b"iCCP", large)))
    assert icc.delta_e(source.rgb, icc.p3_to_srgb(PIXELS)).max() < 1.5


def with_class(name: bytes) -> bytes:
    data = bytearray(icc.rgb_profile())
    data[12:16] = name
    return bytes(data)


def without_tag(name: bytes) -> bytes:
    return icc.rgb_profile().replace(name, b"xxxx", 1)


def with_lab_pcs() -> bytes:
    data = bytearray(icc.rgb_profile())
    data[20:24] = b"Lab "
    return bytes(data)


BROKEN_PROFILES = {
    "device link": with_class(b"link"),
    "abstract": with_class(b"abst"),
    "named colours": with_class(b"nmcl"),
    "no red curve": without_tag(b"rTRC"),
    "no blue primary": without_tag(b"bXYZ"),
    "matrix to L*a*b*": with_lab_pcs(),
    "cut": icc.rgb_profile()[:300],
    "of another space": icc.cmyk_profile(),
    "empty": b"",
    "nonsense": b"nonsense" * 100,
    "grey": icc.grey_profile(),
}


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("profile", BROKEN_PROFILES.values(), ids=BROKEN_PROFILES)
def test_a_broken_profile_counts_as_none(profile: bytes, kind: str, keep: bool) -> None:
    source = decoded(saved(kind, icc_profile=profile), keep)
    assert (source.rgb == decoded(saved(kind)).rgb).all()
    assert source.icc is None


def test_the_optional_stages_of_a_profile_do_not_run() -> None:
    matrix = b"matf" + bytes(4) + struct.pack(">HH", 3, 3) + np.zeros(12, ">f4").tobytes()
    table = b"mpet" + bytes(4) + struct.pack(">HHIII", 3, 3, 1, 24, len(matrix)) + matrix
    assert matching_profile(icc.profile_with({b"D2B0": table}), "RGB") is None
    assert matching_profile(icc.rgb_profile(), "RGB") is not None


def test_a_profile_that_colours_cannot_be_brought_into_is_not_kept() -> None:
    identity = struct.pack(">9i", *(65536 if i in (0, 4, 8) else 0 for i in range(9)))
    ramp8 = bytes(range(256))
    corners = np.stack(np.meshgrid(*[[0, 255]] * 3, indexing="ij"), -1).reshape(8, 3)
    table = b"mft1" + bytes(4) + bytes((3, 3, 2, 0)) + identity + ramp8 * 3
    table += corners.astype(np.uint8).tobytes() + ramp8 * 3
    data = bytearray(icc.profile_with({b"A2B0": table}))
    data[12:16], data[20:24] = b"scnr", b"Lab "
    source = decoded(png(zipped(b"iCCP", bytes(data))), keep=True)
    assert source.icc is None
    assert not (source.rgb == PIXELS).all()


def test_a_pillow_picture_with_broken_exif_is_taken() -> None:
    image = PICTURE.copy()
    image.info["exif"] = b"nonsense"
    assert (from_pillow(image).rgb == PIXELS).all()
    image.info["exif"] = exif(6, MAKE_AS_RATIONAL, 2)
    assert (from_pillow(image).rgb == turn_upright(PIXELS, 6)).all()
    image.info.pop("exif")
    image.getexif()[0x0112] = 3
    assert (from_pillow(image).rgb == turn_upright(PIXELS, 3)).all()


def test_gain_maps_and_other_pictures_of_a_jpeg_are_not_frames() -> None:
    data = saved("MPO", save_all=True, append_images=[ramp(30, 20)])
    assert probe(data, 10**6) == ImageInfo("jpeg", 60, 40, animated=False)
    assert (decoded(data).rgb == decoded(saved("JPEG")).rgb).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_frames_and_pages_are_told(kind: str) -> None:
    data = saved(kind, save_all=True, append_images=[ramp(60, 40).rotate(180)])
    assert probe(data, 10**6) == ImageInfo(kind.lower(), 60, 40, animated=True)
    assert decoded(data).rgb.shape == (40, 60, 3)
    assert not probe(saved(kind), 10**6).animated


def test_smaller_versions_and_masks_in_a_tiff_are_not_pages() -> None:
    import tifffile

    for kind, animated in ((0, True), (1, False), (4, False)):
        buffer = io.BytesIO()
        with tifffile.TiffWriter(buffer) as writer:
            writer.write(PIXELS, photometric="rgb", metadata=None)
            second = PIXELS[::2, ::2, 0] > 99 if kind == 4 else PIXELS[::2, ::2, 0]
            writer.write(second, photometric="minisblack", subfiletype=kind, metadata=None)
        assert probe(buffer.getvalue(), 10**6).animated == animated


def gif(screen: tuple[int, int], place: tuple[int, int]) -> bytes:
    """A GIF whose only frame, 60 x 40, lies at `place` on a screen."""
    data = bytearray(saved("GIF", PICTURE.quantize(16)))
    struct.pack_into("<HH", data, 6, *screen)
    descriptor = data.index(b"\x2c" + struct.pack("<HHHH", 0, 0, 60, 40))
    struct.pack_into("<HH", data, descriptor + 1, *place)
    return bytes(data)


def test_a_gif_s_first_frame_lies_on_a_transparent_canvas() -> None:
    frame = np.asarray(PICTURE.quantize(16).convert("RGB"))
    source = decoded(gif((100, 80), (10, 20)))
    assert (source.info.width, source.info.height) == (100, 80)
    assert source.alpha is not None
    assert (source.rgb[20:60, 10:70] == frame).all()
    assert source.alpha[20:60, 10:70].min() == 255
    assert source.alpha.sum() == 255 * 60 * 40
    assert source.rgb.sum() == frame.sum()


def test_a_gif_s_canvas_grows_to_its_first_frame() -> None:
    assert decoded(gif((10, 10), (0, 0))).rgb.shape == (40, 60, 3)
    source = decoded(gif((10, 10), (5, 6)))
    assert source.rgb.shape == (46, 65, 3)
    with pytest.raises(Exception, match="at most 1,000"):
        probe(gif((1, 1), (60_000, 60_000)), 1000)


def test_a_picture_in_a_tiff_of_the_wrong_size_is_refused() -> None:
    data = tiff_with_stream(saved("WEBP"), 50001, 30, 20)
    with pytest.raises(Exception, match="larger than the file says"):
        decoded(data)
