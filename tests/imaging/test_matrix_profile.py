"""Samples of 16 bits, against results computed here and by LittleCMS, which gets 8 bits of them."""

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from rmbg_service.imaging.colour import matching_profile, to_srgb
from rmbg_service.imaging.decode import decode
from rmbg_service.imaging.matrix_profile import deep_to_srgb, read_matrix_profile
from rmbg_service.imaging.probe import probe
from rmbg_service.imaging.source import SourceImage
from tests import icc

PROPHOTO = np.array([[0.79767, 0.13519, 0.03134], [0.28804, 0.71187, 0.00009], [0, 0, 0.82490]])
LINEAR = b"curv" + bytes(4) + struct.pack(">I", 0)


def gamma(value: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256)) + bytes(2)


def table(*points: int) -> bytes:
    curve = b"curv" + bytes(4) + struct.pack(f">I{len(points)}H", len(points), *points)
    return curve + bytes(-len(curve) % 4)


def parametric(kind: int, *numbers: float) -> bytes:
    fixed = struct.pack(f">{len(numbers)}i", *(round(n * 65536) for n in numbers))
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + fixed


CURVES = {
    "linear": LINEAR,
    "gamma": gamma(1.8),
    "table": table(*(round(65535 * (i / 255) ** 2.4) for i in range(256))),
    "short table": table(0, 9000, 65535),
    "parametric 0": parametric(0, 2.2),
    "parametric 1": parametric(1, 2.0, 0.9, 0.1),
    "parametric 2": parametric(2, 2.0, 0.9, 0.05, 0.05),
    "parametric 3": parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    "parametric 4": parametric(4, 3.0, 0.8, 0.15, 0.3, 0.1, 0.01, 0.002),
}


def profile(curve: bytes, colorants: NDArray[np.float64] = icc.DISPLAY_P3) -> bytes:
    tags = {}
    for name, column in zip((b"r", b"g", b"b"), colorants.T, strict=True):
        xyz = struct.pack(">3i", *(round(value * 65536) for value in column))
        tags[name + b"XYZ"] = b"XYZ " + bytes(4) + xyz
        tags[name + b"TRC"] = curve
    return icc.profile_with(tags)


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES.keys())
def test_every_kind_of_curve_is_read_as_littlecms_reads_it(curve: bytes) -> None:
    levels = np.linspace(0, 255, 18).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 18, 3)
    found = read_matrix_profile(profile(curve))
    assert found is not None
    ours = deep_to_srgb(grid.astype(np.uint16) * 257, found)
    opened = matching_profile(profile(curve), "RGB")
    assert opened is not None
    exact = ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOOPTIMIZE
    theirs = np.asarray(to_srgb(Image.fromarray(grid), opened, exact))
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert np.mean(ours != theirs) < 0.02


def tiff(pixels: NDArray[Any], **options: Any) -> SourceImage:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="rgb", metadata=None, **options)
    keep = options.get("iccprofile") is None
    return decode(buffer.getvalue(), probe(buffer.getvalue(), 10**6), keep_profile=keep)


@pytest.mark.parametrize(
    ("colorants", "exponent", "curve"),
    [
        (icc.SRGB, 1.0, LINEAR),
        (PROPHOTO, 1.0, LINEAR),
        (PROPHOTO, 1.8, gamma(1.8)),
        (icc.DISPLAY_P3, 2.2, gamma(2.2)),
    ],
)
@pytest.mark.parametrize("kind", [np.uint16, np.float32])
@pytest.mark.parametrize("alpha", ["", "unassalpha", "assocalpha"])
def test_colours_of_16_bits_are_right_to_the_level(
    colorants: NDArray[np.float64], exponent: float, curve: bytes, kind: Any, alpha: str
) -> None:
    truth = np.random.default_rng(0).random((64, 96, 3)) * np.linspace(0.02, 1, 64)[:, None, None]
    light = np.where(truth <= 0.04045, truth / 12.92, ((truth + 0.055) / 1.055) ** 2.4)
    xyz = light @ icc.SRGB.T @ np.linalg.inv(colorants).T
    stored = np.clip(xyz, 0, 1) ** (1 / exponent)
    options: dict[str, Any] = {"iccprofile": profile(curve, colorants)}
    if alpha:
        share = np.full((64, 96, 1), 0.75)
        stored = np.concatenate([stored * (share if alpha == "assocalpha" else 1), share], axis=-1)
        options["extrasamples"] = [alpha]
    scaled = stored if kind is np.float32 else (stored * 65535).round()
    source = tiff(scaled.astype(kind), **options)
    assert np.abs(source.rgb - truth * 255).max() <= 1.2
    assert source.rgb.flags.c_contiguous
    if alpha:
        assert source.alpha is not None
        assert (source.alpha == 191).all()


def test_colours_that_are_not_converted_are_rounded() -> None:
    levels = np.arange(0, 65536, 43, dtype=np.uint16)[None, :, None].repeat(4, 0).repeat(3, 2)
    expected = np.round(levels / 257)
    assert (tiff(levels).rgb == expected).all()
    opaque = np.concatenate([levels, np.full_like(levels[..., :1], 65535)], axis=-1)
    source = tiff(opaque, extrasamples=["unassalpha"])
    assert (source.rgb == expected).all()
    assert source.rgb.flags.c_contiguous


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        bytes(131),
        icc.cmyk_profile(),
        icc.grey_profile(),
        icc.profile_with({}),
        profile(b"text"),
        profile(table(*range(300))[:60]),
        profile(table(*range(40_000))),
        profile(parametric(5, 1.0)),
        profile(LINEAR)[:300],
        profile(LINEAR).replace(b"rTRC", b"A2B0", 1),
    ],
)
def test_a_profile_of_another_kind_or_a_broken_one_is_not_read(broken: bytes) -> None:
    assert read_matrix_profile(broken) is None


def test_numbers_without_meaning_give_colours_all_the_same() -> None:
    for curve in (parametric(0, -2.0), parametric(1, 2.0, 0.0, 0.0), parametric(3, 9, 9, 9, 9, 9)):
        found = read_matrix_profile(profile(curve, np.full((3, 3), 30_000.0)))
        assert found is not None
        assert np.isfinite(found.curves).all()
        assert deep_to_srgb(np.full((2, 2, 3), 500, np.uint16), found).shape == (2, 2, 3)
