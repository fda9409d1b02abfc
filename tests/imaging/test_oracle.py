"""Generated files, against the pixels they were made of and against libvips.

Sizes and orientation must be the same, colours within a CIEDE2000 difference, alpha within 2/255.
"""

import numpy as np
import pytest
import pyvips

from rmbg_service.imaging.decode import decode
from rmbg_service.imaging.probe import probe
from tests.imaging.generated import CASES, HEIGHT, WIDTH, Case, Pixels


def by_vips(data: bytes) -> tuple[Pixels, Pixels | None]:
    """What libvips makes of a file: upright, sRGB, straight alpha."""
    image = pyvips.Image.new_from_buffer(data, "").autorot()
    if image.get_typeof("icc-profile-data"):
        alpha = image[-1] if image.hasalpha() else None
        image = image.icc_transform(
            "srgb", embedded=True, intent="relative", black_point_compensation=True
        )
        if alpha is not None and not image.hasalpha():
            image = image.bandjoin(alpha)
    image = image.colourspace("srgb")
    pixels = image.numpy().astype(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    alpha_band = pixels[..., -1] if image.hasalpha() else None
    return np.ascontiguousarray(pixels[..., :3]), alpha_band


def difference(first: Pixels, second: Pixels) -> float:
    """The 98th percentile of CIEDE2000 colour differences."""
    images = [pyvips.Image.new_from_array(np.ascontiguousarray(p)) for p in (first, second)]
    lab = [image.copy(interpretation="srgb").colourspace("lab") for image in images]
    return float(np.percentile(lab[0].dE00(lab[1]).numpy(), 98))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_file_is_decoded_as_it_was_made_and_as_libvips_decodes_it(case: Case) -> None:
    info = probe(case.data, 1_000_000)
    source = decode(case.data, info)
    assert (info.width, info.height) == (WIDTH, HEIGHT)
    assert difference(source.rgb, case.rgb) <= case.tolerance
    assert (source.alpha is None) == (case.alpha is None)
    if case.alpha is not None and source.alpha is not None:
        assert np.abs(source.alpha.astype(int) - case.alpha).max() <= 2
    if case.with_vips:
        rgb, alpha = by_vips(case.data)
        assert rgb.shape == source.rgb.shape
        visible = np.full(rgb.shape[:2], True) if alpha is None else alpha > 0
        assert difference(source.rgb[visible][None], rgb[visible][None]) <= case.tolerance


def test_there_are_hundreds_of_files() -> None:
    assert len(CASES) > 300
    assert len({case.name for case in CASES}) == len(CASES)
