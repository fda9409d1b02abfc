"""Colours against results computed without LittleCMS."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rmbg_service.imaging.colour import is_srgb, matching_profile, rgb_from_srgb, rgb_to_srgb
from rmbg_service.imaging.decode import decode
from rmbg_service.imaging.probe import probe
from rmbg_service.imaging.source import SourceImage
from tests import icc

PATCHES = np.array(
    [[[200, 60, 40], [60, 170, 70], [40, 60, 180], [128, 128, 128], [240, 200, 160]]], np.uint8
).repeat(16, 0).repeat(16, 1)  # fmt: skip


def decoded(image: Image.Image, kind: str, keep_profile: bool = False, **save: Any) -> SourceImage:
    buffer = io.BytesIO()
    image.save(buffer, kind, **save)
    data = buffer.getvalue()
    return decode(data, probe(data, 10**6), keep_profile=keep_profile)


@pytest.mark.parametrize(
    ("kind", "save"),
    [
        ("PNG", {}),
        ("JPEG", {"quality": 100, "subsampling": 0}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}),
        ("HEIF", {"quality": 100, "chroma": 444}),
    ],
)
def test_display_p3_becomes_the_right_srgb(kind: str, save: dict[str, Any]) -> None:
    source = decoded(Image.fromarray(PATCHES), kind, icc_profile=icc.rgb_profile(), **save)
    assert source.icc is None
    inner = (slice(4, 12), slice(4, None, 16))
    difference = icc.delta_e(source.rgb, icc.p3_to_srgb(PATCHES))[inner]
    assert difference.max() < (1.5 if kind in ("AVIF", "HEIF") else 1.0)  # what the codec loses
    unconverted = icc.delta_e(PATCHES, icc.p3_to_srgb(PATCHES))[inner]
    assert unconverted.max() > 5.0  # or the test would prove nothing


def test_keeping_the_profile_leaves_the_numbers_and_hands_the_profile_on() -> None:
    profile = icc.rgb_profile()
    source = decoded(Image.fromarray(PATCHES), "PNG", keep_profile=True, icc_profile=profile)
    assert (source.rgb == PATCHES).all()
    assert source.icc == profile
    assert icc.delta_e(rgb_to_srgb(PATCHES, profile), icc.p3_to_srgb(PATCHES)).max() < 1.0
    there_and_back = rgb_to_srgb(rgb_from_srgb(PATCHES, profile), profile)
    assert np.abs(there_and_back.astype(int) - PATCHES).max() <= 2


def test_an_srgb_profile_is_known_as_one_by_what_it_does() -> None:
    from PIL import ImageCms

    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    assert is_srgb(srgb)
    other = matching_profile(icc.rgb_profile(), "RGB")
    assert other is not None
    assert not is_srgb(other)


def test_cmyk_goes_through_its_profile() -> None:
    inks = np.array([[[255, 0, 0, 0], [0, 128, 0, 0], [0, 0, 255, 0], [64, 64, 64, 128]]], np.uint8)
    cmyk = inks.repeat(16, 0).repeat(16, 1)
    image = Image.frombytes("CMYK", (64, 16), cmyk.tobytes())
    expected = icc.lab_to_srgb(np.array([icc.cmyk_to_lab(*ink) for ink in inks[0] / 255]))
    forms: tuple[tuple[str, dict[str, Any]], ...] = (("TIFF", {}), ("JPEG", {"quality": 100}))
    for kind, save in forms:
        source = decoded(image, kind, icc_profile=icc.cmyk_profile(), **save)
        assert source.icc is None
        assert icc.delta_e(source.rgb[8, 8::16], expected).max() < 2.5  # 8-bit L*a*b* in the table
        plain = decoded(image, kind, **save)
        assert icc.delta_e(plain.rgb[8, 8::16], expected).max() > 10


def test_adobe_s_inverted_cmyk_jpeg_is_not_a_negative() -> None:
    white = decoded(Image.new("CMYK", (32, 32), (0, 0, 0, 0)), "JPEG")
    assert (white.rgb > 250).all()
    black = decoded(Image.new("CMYK", (32, 32), (0, 0, 0, 255)), "JPEG")
    assert (black.rgb < 5).all()


def test_grey_goes_through_its_profile() -> None:
    ramp = np.arange(256, dtype=np.uint8)[None].repeat(8, 0)
    source = decoded(Image.fromarray(ramp), "PNG", icc_profile=icc.grey_profile())
    expected = icc.encode_srgb(np.arange(256) / 255)
    assert np.abs(source.rgb - expected[:, None]).max() <= 0.6, "also in the dark"


@pytest.mark.parametrize(
    ("kind", "save"),
    [("PNG", {}), ("JPEG", {"quality": 100}), ("TIFF", {})],
)
def test_grey_may_have_a_profile_of_colours(kind: str, save: dict[str, Any]) -> None:
    levels = np.linspace(40, 240, 16).round().astype(np.uint8).repeat(8)[None].repeat(16, 0)
    image, profile = Image.fromarray(levels), icc.rgb_profile()
    source = decoded(image, kind, icc_profile=profile, **save)
    expected = icc.encode_srgb((levels / 255.0) ** icc.GAMMA)[..., None]
    assert np.abs(source.rgb - expected).max() <= (2 if kind == "JPEG" else 0.6)
    assert np.abs(levels[..., None] - expected).max() > 3, "or the test would prove nothing"
    kept = decoded(image, kind, keep_profile=True, icc_profile=profile, **save)
    assert kept.icc == profile
    assert np.abs(kept.rgb.astype(int) - levels[..., None]).max() <= 1


@pytest.mark.parametrize("profile", [b"nonsense", b"", icc.cmyk_profile(), icc.rgb_profile()[:200]])
def test_a_profile_that_does_not_fit_is_ignored(profile: bytes) -> None:
    source = decoded(Image.fromarray(PATCHES), "PNG", icc_profile=profile)
    assert (source.rgb == PATCHES).all()
