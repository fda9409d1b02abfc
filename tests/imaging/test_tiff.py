"""TIFF layouts: right pixels, or a refusal that says what is not supported."""

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from rmbg_service.errors import InvalidImage
from rmbg_service.imaging.decode import decode
from rmbg_service.imaging.probe import probe
from rmbg_service.imaging.source import ImageInfo, SourceImage
from tests import icc
from tests.hostile.images import Tags, grey_tags, ramp, saved, tiff, tiff_with_stream

LAB = (
    np.array([[[53, 80, 67], [88, -86, 83], [32, 79, -108], [50, 0, 0]]]).repeat(8, 0).repeat(4, 1)
)
"""L*, a* and b* of strong red, green and blue, and of grey."""


def decoded(data: bytes) -> SourceImage:
    return decode(data, probe(data, 10**6))


def written(pixels: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, metadata=None, **options)
    return buffer.getvalue()


def with_samples(bits: int, sample_format: int) -> bytes:
    tags: Tags = grey_tags(4, 4) | {258: ("H", [bits]), 339: ("H", [sample_format])}
    body = bytes(4 * 4 * 8)
    return tiff(tags | {273: ("I", [8]), 278: ("I", [4]), 279: ("I", [len(body)])}, body)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("depth", [8, 16])
def test_lab_is_converted(depth: int, planar: str, order: Any) -> None:
    scale = (255 / 100, 1, 1) if depth == 8 else (65535 / 100, 256, 256)
    stored = np.round(LAB * scale).astype(np.int32).astype(f"u{depth // 8}")
    if planar == "separate":
        stored = np.moveaxis(stored, -1, 0)
    data = written(stored, photometric="cielab", planarconfig=planar, byteorder=order)
    expected = icc.lab_to_srgb(LAB.astype(float))
    assert icc.delta_e(decoded(data).rgb, expected)[:, 12:].max() < 1.5, "grey"
    inside = (expected > 2).all(-1) & (expected < 253).all(-1)
    assert icc.delta_e(decoded(data).rgb, expected)[inside].max() < 2.5
    assert decoded(data).rgb[0, 0].tolist()[0] > 240, "red"


@pytest.mark.parametrize("order", "<>")
def test_packed_samples_with_a_predictor(order: str) -> None:
    values = np.array([[0, 4095, 17, 2048, 4000, 3, 4095, 0]], np.uint32)
    steps = np.diff(values, prepend=0) % 4096
    bits = ((steps[..., None] >> np.arange(11, -1, -1)) & 1).astype(np.uint8)
    body = np.packbits(bits.reshape(1, -1)).tobytes()
    tags = grey_tags(8, 1) | {258: ("H", [12]), 317: ("H", [2]), 278: ("I", [1])}
    data = tiff(tags | {273: ("I", [8]), 279: ("I", [len(body)])}, body)
    assert decoded(data).rgb[0, :, 0].tolist() == np.round(values[0] / 4095 * 255).tolist()


def test_white_may_be_zero_at_every_depth() -> None:
    for depth, scale in ((np.uint8, 1), (np.uint16, 257)):
        grey = (np.arange(256)[None].repeat(4, 0) * scale).astype(depth)
        data = written(grey, photometric="miniswhite")
        assert decoded(data).rgb[0, :, 0].tolist() == list(range(255, -1, -1))


def test_floats_are_clipped_and_others_than_shares_of_white_refused() -> None:
    values = np.array([[-0.5, 0.0, 0.5, 1.0, 1.5, np.nan, np.inf, 0.25]], np.float32)
    shown = decoded(written(values, photometric="minisblack")).rgb[0, :, 0].tolist()
    assert shown == [0, 0, 128, 255, 255, 0, 255, 64]
    with pytest.raises(InvalidImage, match="floats beyond"):
        decoded(written(values * 200, photometric="minisblack"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (with_samples(16, 2), "16 bits, signed"),
        (with_samples(32, 2), "32 bits, signed"),
        (with_samples(64, 3), "64 bits, floating-point"),
        (with_samples(64, 1), "64 bits, unsigned"),
        (with_samples(24, 1), "24 bits, unsigned"),
        (with_samples(32, 6), "32 bits, other"),
    ],
)
def test_depths_that_are_not_supported_are_named(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidImage, match=reason):
        decoded(data)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({259: ("H", [6])}, "compression 6"),
        ({259: ("H", [34712])}, "compression 34712"),
        ({262: ("H", [32845])}, "colour space 32845"),
        ({262: ("H", [2])}, "fewer samples"),
        ({277: ("H", [9])}, "9 samples per pixel"),
        ({277: ("H", [2]), 258: ("H", [8, 4])}, "differ in depth"),
        ({262: ("H", [6]), 277: ("H", [3]), 258: ("H", [8] * 3), 530: ("H", [2, 2])}, "subsampled"),
        ({317: ("H", [2]), 258: ("H", [4])}, "4 bits with a predictor"),
        ({258: ("H", [16]), 262: ("H", [3])}, "16 bits a sample"),
    ],
)
def test_layouts_that_are_not_supported_are_named(change: Tags, reason: str) -> None:
    tags = grey_tags(4, 4) | {273: ("I", [8]), 278: ("I", [4]), 279: ("I", [64])} | change
    data = tiff(tags, bytes(64))
    with pytest.raises(InvalidImage, match=reason):
        decoded(data)


def test_samples_that_are_no_colours_are_left_out() -> None:
    rgb = np.asarray(ramp(8, 6))
    more = np.dstack([rgb, np.full((6, 8, 2), 9, np.uint8)])
    data = written(more, photometric="rgb", extrasamples=[0, 0], planarconfig="contig")
    source = decoded(data)
    assert (source.rgb == rgb).all()
    assert source.alpha is None
    data = written(more, photometric="rgb", extrasamples=[0, 2], planarconfig="contig")
    source = decoded(data)
    assert source.alpha is not None
    assert (source.alpha == 9).all(), "the second of them is alpha"


def test_colours_are_divided_by_an_associated_alpha_wherever_it_is() -> None:
    stored = np.full((6, 8, 5), 60, np.uint8)
    stored[..., 4] = 120
    source = decoded(written(stored, photometric="rgb", extrasamples=[0, 1], planarconfig="contig"))
    assert source.alpha is not None
    assert (source.alpha == 120).all()
    assert (source.rgb == 128).all(), "60 of 120"


def test_four_samples_of_rgb_without_a_word_about_the_fourth_are_alpha() -> None:
    rgba = np.dstack([np.asarray(ramp(8, 6)), np.full((6, 8), 77, np.uint8)])
    tags: Tags = grey_tags(8, 6) | {258: ("H", [8] * 4), 262: ("H", [2]), 277: ("H", [4])}
    body = rgba.tobytes()
    data = tiff(tags | {273: ("I", [8]), 278: ("I", [6]), 279: ("I", [len(body)])}, body)
    source = decoded(data)
    assert (source.rgb == rgba[..., :3]).all()
    assert source.alpha is not None
    assert (source.alpha == 77).all()


def test_a_table_of_strips_may_be_missing_for_one_plain_strip() -> None:
    body = np.arange(64, dtype=np.uint8).tobytes()
    data = tiff(grey_tags(8, 8) | {273: ("I", [8]), 278: ("I", [8])}, body)
    assert decoded(data).rgb[..., 0].tobytes() == body
    with pytest.raises(InvalidImage, match="table of strips"):
        probe(tiff(grey_tags(8, 8) | {273: ("I", [8]), 278: ("I", [4])}, body), 1000)


@pytest.mark.parametrize("end", range(8, 120, 7))
def test_a_tiff_that_is_cut_is_refused(end: int) -> None:
    for pixels in (np.asarray(ramp(16, 12)), np.asarray(ramp(16, 12)).astype(np.uint16)):
        data = written(pixels, photometric="rgb", compression="zlib")
        with pytest.raises(InvalidImage):
            decoded(data[:-end])


def test_bigtiff_of_either_order() -> None:
    rgb = np.asarray(ramp(20, 10))
    for order in "<>":
        options: dict[str, Any] = {"photometric": "rgb", "bigtiff": True, "byteorder": order}
        assert (decoded(written(rgb, **options)).rgb == rgb).all()
        deep = written(rgb.astype(np.uint16) * 257, **options)
        assert deep[2:4] in (b"\x00+", b"+\x00")
        assert (decoded(deep).rgb == rgb).all()


@pytest.mark.parametrize("place", [8, 36, 56])
def test_a_position_in_a_bigtiff_that_is_beyond_any_file(place: int) -> None:
    """That of the directory, of the depths or of the width."""
    entries = struct.pack("<HHQQ", 258, 4, 3, 0) + struct.pack("<HHQQ", 256, 4, 3, 0)
    head = b"II+\0" + struct.pack("<HHQ", 8, 0, 16) + struct.pack("<Q", 2)
    data = bytearray(head + entries + bytes(8))
    data[place : place + 8] = b"\xff" * 8
    with pytest.raises(InvalidImage, match="cut short or damaged"):
        probe(bytes(data), 100)


def test_bits_may_be_filled_from_the_other_end() -> None:
    bits = np.asarray(ramp(32, 8).convert("1"))
    body = np.packbits(bits, axis=1, bitorder="little").tobytes()
    tags = grey_tags(32, 8) | {258: ("H", [1]), 266: ("H", [2]), 278: ("I", [8])}
    data = tiff(tags | {273: ("I", [8]), 279: ("I", [len(body)])}, body)
    assert ((decoded(data).rgb[..., 0] == 255) == bits).all()


@pytest.mark.parametrize("kind", ["<", ">"])
def test_a_directory_s_values_may_be_of_four_bytes_each(kind: str) -> None:
    pixels = bytes(range(16))
    values = {256: 4, 257: 4, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 4, 279: 16}
    entries = b"".join(
        struct.pack(kind + "HHI", tag, 4, 1) + struct.pack(kind + "I", value)
        for tag, value in values.items()
    )
    head = (b"II*\0" if kind == "<" else b"MM\0*") + struct.pack(kind + "I", 24)
    data = head + pixels + struct.pack(kind + "H", len(values)) + entries + bytes(4)
    assert decoded(data).rgb[..., 0].tobytes() == pixels


def test_jpeg_in_tiff_with_tables_beside_it() -> None:
    picture = ramp(64, 64).convert("L")
    jpeg = saved(picture, "JPEG", quality=95)
    data = tiff_with_stream(jpeg, 7, 64, 64)
    assert probe(data, 10**6) == ImageInfo("tiff", 64, 64)
    assert np.abs(decoded(data).rgb[..., 0].astype(int) - np.asarray(picture)).mean() < 5
    buffer = io.BytesIO()
    ramp(64, 64).save(buffer, "TIFF", compression="jpeg", quality=95)
    assert np.abs(decoded(buffer.getvalue()).rgb.astype(int) - np.asarray(ramp(64, 64))).mean() < 20


def test_ycbcr_without_subsampling() -> None:
    rgb = Image.new("RGB", (16, 16), (200, 60, 40))
    data = written(np.asarray(rgb.convert("YCbCr")), photometric="ycbcr", subsampling=(1, 1))
    assert np.abs(decoded(data).rgb.astype(int) - np.asarray(rgb)).max() <= 2


def test_a_deep_picture_in_one_large_strip_is_refused() -> None:
    pixels = np.zeros((2400, 4000, 3), np.float32)
    options: dict[str, Any] = {"photometric": "rgb", "compression": "zlib"}
    with pytest.raises(InvalidImage, match="save it in smaller ones"):
        decode(whole := written(pixels, rowsperstrip=2400, **options), probe(whole, 10**7))
    strips = written(pixels, rowsperstrip=64, **options)
    assert decode(strips, probe(strips, 10**7)).rgb.max() == 0


def test_a_second_page_that_is_damaged_does_not_matter() -> None:
    tags = grey_tags(8, 8) | {273: ("I", [8]), 278: ("I", [8]), 279: ("I", [64])}
    second = len(tiff(tags, bytes(64)))
    beyond = struct.pack("<HHHIII", 1, 254, 4, 2, 10**6, 0)  # its values are not in the file
    info = probe(tiff(tags, bytes(64), second) + beyond, 1_000)
    assert (info.width, info.height, info.animated) == (8, 8, False)


def pages(*kinds: int, **of_first: Any) -> bytes:
    """Pages of 8 x 8 px, each with its number as grey level and its kind of `NewSubfileType`."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for number, kind in enumerate(kinds):
            grey: Any = np.full((8, 8), number, np.uint8) if kind != 4 else np.full((8, 8), True)
            more = of_first if number == 0 else {}
            writer.write(grey, photometric="minisblack", subfiletype=kind, metadata=None, **more)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kinds", "number", "animated"),
    [
        ((0, 0), 0, True),
        ((1, 0), 1, False),
        ((1, 4, 2, 1), 2, False),
        ((4, 2, 0), 1, True),
        ((1,), 0, False),
        ((1, 1), 0, False),
    ],
)
def test_a_smaller_version_in_front_of_the_image_is_passed_over(
    kinds: tuple[int, ...], number: int, animated: bool
) -> None:
    data = pages(*kinds)
    assert probe(data, 10**6).animated == animated
    assert (decoded(data).rgb == number).all()


def test_the_preview_of_a_raw_file_is_not_taken_for_its_image() -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        preview = np.full((8, 8), 9, np.uint8)
        writer.write(preview, photometric="minisblack", subfiletype=1, subifds=1, metadata=None)
        writer.write(np.zeros((64, 64), np.uint16), photometric=32803, metadata=None)
    with pytest.raises(InvalidImage, match="as raw files of cameras do"):
        probe(buffer.getvalue(), 10**6)
    with_pyramid = pages(0, subifds=0)
    assert (decoded(with_pyramid).rgb == 0).all()


@pytest.mark.parametrize("scale", [1, 257])
def test_a_palette_may_have_8_bits_in_place_of_16(scale: int) -> None:
    colours = np.array([[200, 60, 40], [60, 170, 70], [40, 60, 180], [255, 255, 255]])
    palette = np.zeros((256, 3), int)
    palette[:4] = colours * scale
    indices = np.arange(4, dtype=np.uint8).repeat(4)[None].repeat(8, 0)
    tags = grey_tags(16, 8) | {262: ("H", [3]), 320: ("H", palette.T.ravel())}
    strip: Tags = {273: ("I", [8]), 278: ("I", [8]), 279: ("I", [indices.size])}
    data = tiff(tags | strip, indices.tobytes())
    assert (decoded(data).rgb == colours.repeat(4, 0)).all()
