"""Colours that a file names by code points, against ITU-T H.273 computed here."""

import io
import struct
from typing import Any

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image

from rmbg_service.imaging.colour import rgb_to_srgb
from rmbg_service.imaging.colour_space import ColourSpace
from rmbg_service.imaging.decode import decode
from rmbg_service.imaging.probe import probe
from rmbg_service.imaging.source import SourceImage
from tests import icc
from tests.hostile.images import chunk

Floats = NDArray[np.float64]
PATCHES = np.array(
    [[[200, 60, 40], [60, 170, 70], [40, 60, 180], [128, 128, 128], [240, 200, 160]]], np.uint8
).repeat(16, 0).repeat(16, 1)  # fmt: skip
INNER = (slice(4, 12), slice(4, None, 16))
SRGB, P3, BT2020, UNSPECIFIED = 1, 12, 9, 2
REC2020 = np.array([[0.6734, 0.1656, 0.1251], [0.2790, 0.6753, 0.0456], [-0.0019, 0.0300, 0.7973]])


def srgb_light(value: Floats) -> Floats:
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def camera_light(value: Floats) -> Floats:
    return np.where(value < 0.08124, value / 4.5, ((value + 0.0993) / 1.0993) ** (1 / 0.45))


def expected(matrix: Floats, light: Floats) -> Floats:
    return icc.encode_srgb(light @ matrix.T @ np.linalg.inv(icc.SRGB).T)


def png(*chunks: bytes, pixels: NDArray[np.uint8] = PATCHES, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    data = buffer.getvalue()
    return data[:33] + b"".join(chunks) + data[33:]


def avif(primaries: int, transfer: int, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PATCHES).save(buffer, "AVIF", quality=100, subsampling="4:4:4", **options)
    data = bytearray(buffer.getvalue())
    at = data.index(b"nclx") + 4
    data[at : at + 4] = struct.pack(">HH", primaries, transfer)
    return bytes(data)


def heif(primaries: int, transfer: int, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(PATCHES)).save(
        buffer, quality=100, chroma=444, color_primaries=primaries,
        transfer_characteristics=transfer, matrix_coefficients=6, full_range_flag=1, **options,
    )  # fmt: skip
    return buffer.getvalue()


def cicp(primaries: int, transfer: int) -> bytes:
    return chunk(b"cICP", bytes((primaries, transfer, 0, 1)))


def gama(value: int) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", value))


def chrm(*numbers: int) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *numbers))


P3_CHRM = chrm(31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
SRGB_CHRM = chrm(31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


def decoded(data: bytes, keep: bool = False) -> SourceImage:
    return decode(data, probe(data, 10**6), keep_profile=keep)


def differs(data: bytes, truth: Floats) -> float:
    return float(icc.delta_e(decoded(data).rgb, truth)[INNER].max())


def test_matrices_are_those_of_the_profiles_in_use() -> None:
    p3 = ColourSpace.from_code_points(P3, 13)
    wide = ColourSpace.from_code_points(BT2020, 8)
    assert p3 is not None
    assert wide is not None
    assert np.abs(p3.to_xyz_d50() - icc.DISPLAY_P3).max() < 5e-4
    assert np.abs(wide.to_xyz_d50() - REC2020).max() < 5e-4


@pytest.mark.parametrize(
    ("primaries", "transfer"),
    [
        *((number, 13) for number in (*range(24), 255)),
        *((9, number) for number in (*range(20), 255)),
    ],
)
def test_every_pair_of_code_points_means_something(primaries: int, transfer: int) -> None:
    data = png(cicp(primaries, transfer))
    source = decoded(data)
    white = png(cicp(primaries, transfer), pixels=np.full((4, 4, 3), 255, np.uint8))
    assert decoded(white).rgb.min() >= 253
    assert source.icc is None
    if primaries in (SRGB, UNSPECIFIED) and transfer in (13, 2):
        assert (source.rgb == PATCHES).all()


@pytest.mark.parametrize(
    ("primaries", "matrix"), [(SRGB, icc.SRGB), (P3, icc.DISPLAY_P3), (BT2020, REC2020)]
)
@pytest.mark.parametrize(
    ("transfer", "light"),
    [(13, srgb_light), (1, camera_light), (4, lambda v: v**2.2), (8, lambda v: v)],
)
def test_code_points_are_converted(
    primaries: int, matrix: Floats, transfer: int, light: Any
) -> None:
    truth = expected(matrix, light(PATCHES / 255.0))
    assert differs(png(cicp(primaries, transfer)), truth) < 1.0
    assert differs(avif(primaries, transfer), truth) < 2.0
    assert differs(heif(primaries, transfer), truth) < 2.5


def test_srgb_s_code_points_change_nothing_at_all() -> None:
    for named, unnamed in (
        (png(cicp(SRGB, 13)), png()),
        (png(SRGB_CHRM, gama(45455)), png()),
        (png(gama(45455)), png()),
        (avif(SRGB, 13), avif(UNSPECIFIED, UNSPECIFIED)),
        (heif(SRGB, 13), heif(UNSPECIFIED, UNSPECIFIED)),
    ):
        source = decoded(named, keep=True)
        assert (source.rgb == decoded(unnamed).rgb).all()
        assert source.icc is None


def test_a_profile_beside_code_points_wins_where_the_format_says_so() -> None:
    profile = icc.rgb_profile()
    by_profile = icc.p3_to_srgb(PATCHES)
    assert differs(avif(SRGB, 8, icc_profile=profile), by_profile) < 1.5
    named = expected(REC2020, srgb_light(PATCHES / 255.0))
    assert differs(png(cicp(BT2020, 13), icc_profile=profile), named) < 1.0, "cICP comes first"
    assert differs(png(gama(100_000), icc_profile=profile), by_profile) < 1.0


def test_gamma_and_chromaticities_of_a_png() -> None:
    value = PATCHES / 255.0
    assert differs(png(gama(100_000)), icc.encode_srgb(value)) < 1.0
    assert differs(png(gama(55556)), icc.encode_srgb(value**1.8)) < 1.0
    assert differs(png(P3_CHRM, gama(45455)), expected(icc.DISPLAY_P3, srgb_light(value))) < 1.0
    assert differs(png(P3_CHRM), expected(icc.DISPLAY_P3, srgb_light(value))) < 1.0
    marked = png(chunk(b"sRGB", b"\0"), gama(100_000), P3_CHRM)
    assert (decoded(marked).rgb == PATCHES).all(), "sRGB says what the others mean"
    grey = np.arange(256, dtype=np.uint8)[None].repeat(8, 0)
    linear = decoded(png(gama(100_000), pixels=grey)).rgb[0]
    assert np.abs(linear - icc.encode_srgb(np.arange(256) / 255)[:, None]).max() <= 0.6


@pytest.mark.parametrize(
    "chunks",
    [
        (gama(0),),
        (gama(1),),
        (gama(2**31),),
        (chrm(*[0] * 8),),
        (chrm(*[1] * 8),),
        (chunk(b"cICP", b"\1"),),
        (chrm(*[2**32 - 1] * 8), gama(45454)),
    ],
)
def test_numbers_without_meaning_are_ignored(chunks: tuple[bytes, ...]) -> None:
    assert (decoded(png(*chunks)).rgb == PATCHES).all()


def test_keeping_the_colours_hands_on_a_profile_of_them() -> None:
    source = decoded(png(cicp(P3, 13)), keep=True)
    assert (source.rgb == PATCHES).all()
    assert source.icc is not None
    truth = expected(icc.DISPLAY_P3, srgb_light(PATCHES / 255.0))
    assert icc.delta_e(rgb_to_srgb(PATCHES, source.icc), truth).max() < 1.0


def pq(nits: float) -> float:
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    light = (nits / 10_000) ** m1
    return float(((c1 + c2 * light) / (1 + c3 * light)) ** m2)


PQ_LEVELS = {0.0: 0.0, 20.3: 0.1, 101.5: 0.5, 203.0: 0.6 + 0.4 * (1 - np.exp(-1)), 10_000.0: 1.0}
"""Light in cd/m2, and what is left of it as a share of SDR's white."""


@pytest.mark.parametrize(("nits", "shown"), PQ_LEVELS.items())
def test_pq_is_tone_mapped(nits: float, shown: float) -> None:
    grey = np.full((4, 4, 3), round(255 * pq(nits)), np.uint8)
    level = int(decoded(png(cicp(BT2020, 16), pixels=grey)).rgb[0, 0, 0])
    assert abs(level - icc.encode_srgb(np.array(shown))) <= 6  # of 8 bits, a step of PQ is coarse
    assert decoded(png(cicp(BT2020, 16), pixels=grey), keep=True).icc is None
    one_channel = png(cicp(BT2020, 16), pixels=grey[..., 0].copy())
    assert (decoded(one_channel).rgb == level).all()


def test_hlg_s_reference_white_is_that_of_pq() -> None:
    grey = np.full((4, 4, 3), round(255 * 0.75), np.uint8)
    level = int(decoded(png(cicp(BT2020, 18), pixels=grey)).rgb[0, 0, 0])
    assert abs(level - icc.encode_srgb(np.array(PQ_LEVELS[203.0]))) <= 2
    black = np.zeros((4, 4, 3), np.uint8)
    assert decoded(png(cicp(BT2020, 18), pixels=black)).rgb.max() == 0


def test_tone_mapping_keeps_hues() -> None:
    bright = np.array([[[pq(2000), pq(1000), pq(500)]]]).repeat(16, 0).repeat(16, 1)
    rgb = decoded(png(cicp(SRGB, 16), pixels=(bright * 255).round().astype(np.uint8))).rgb[0, 0]
    light = srgb_light(rgb / 255.0)
    assert light[0] / light[1] == pytest.approx(2, rel=0.08)
    assert light[1] / light[2] == pytest.approx(2, rel=0.08)


def test_ten_bits_of_a_phone_s_hdr_picture_are_used() -> None:
    levels = np.linspace(pq(1), pq(203), 64)
    ramp = (levels * 65535).round().astype(np.uint16)[None, :, None].repeat(16, 0).repeat(3, 2)
    buffer = io.BytesIO()
    image = pillow_heif.from_bytes("RGB;16", (64, 16), np.ascontiguousarray(ramp).tobytes())
    image.save(
        buffer, quality=100, chroma=444, color_primaries=BT2020, transfer_characteristics=16,
        matrix_coefficients=9, full_range_flag=1,
    )  # fmt: skip
    grey = decoded(buffer.getvalue()).rgb[8, :, 1].astype(int)
    assert np.all(np.diff(grey) >= 0)
    assert len(set(grey.tolist())) > 50
    assert abs(grey[-1] - icc.encode_srgb(np.array(PQ_LEVELS[203.0]))) <= 4
