import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from rmbg_service.errors import BeyondFormat, TooManyBytes
from rmbg_service.imaging.cutout import Cutout, Shadow
from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.result import background_pixels, encode, reserved_pixels
from rmbg_service.system.memory_budget import BYTES_PER_PIXEL, WORKING_BYTES
from rmbg_service.types import Box

LIMIT = 10**9


def cutout(width: int = 60, height: int = 40) -> Cutout:
    """The left half, opaque, and a shadow under it."""
    alpha = np.zeros((height, width), np.uint8)
    alpha[:, : width // 2] = 255
    rgb = np.full((height, width, 3), 120, np.uint8)
    return Cutout(rgb, alpha, confidence=0.98765, shadow=Shadow("drop", alpha // 2))


@pytest.mark.parametrize(
    ("given", "format_", "media_type", "size"),
    [
        ({}, "png", "image/png", (60, 40)),
        ({"format": "auto"}, "png", "image/png", (60, 40)),
        ({"format": "auto", "background": "red"}, "jpeg", "image/jpeg", (60, 40)),
        ({"format": "jpeg", "max_side": 30}, "jpeg", "image/jpeg", (30, 20)),
        ({"output": "matte"}, "png", "image/png", (60, 40)),
        ({"output": "layers"}, "zip", "application/zip", (60, 40)),
        ({"format": "psd", "background": "red"}, "psd", "image/vnd.adobe.photoshop", (60, 40)),
        ({"crop": True}, "png", "image/png", (30, 40)),
        ({"scale": "50%"}, "png", "image/png", (60, 40)),
    ],
)
def test_the_file_is_what_the_options_ask_for(
    given: dict[str, Any], format_: str, media_type: str, size: tuple[int, int]
) -> None:
    result = encode(cutout(), RemovalOptions.model_validate(given), LIMIT)
    assert (result.format, result.media_type) == (format_, media_type)
    assert (result.width, result.height) == size
    assert result.box == Box(0, 0, 30, 40)
    assert result.confidence == 0.9877
    assert result.shadow is not None
    assert result.shadow.alpha is None


def test_the_size_before_the_limits_is_told() -> None:
    result = encode(cutout(), RemovalOptions(max_pixels=600), LIMIT)
    assert result.full_size == (60, 40)
    assert result.width * result.height <= 600


def test_a_side_that_the_format_cannot_have_is_refused() -> None:
    wide = cutout(16_384, 1)
    with pytest.raises(BeyondFormat, match="webp has at most 16383"):
        encode(wide, RemovalOptions(format="webp"), LIMIT)
    assert encode(wide, RemovalOptions(format="webp", max_side=16_383), LIMIT).width == 16_383


@pytest.mark.parametrize("output", ["cutout", "matte"])
@pytest.mark.parametrize("format_", ["png", "auto", "webp", "jpeg"])
def test_no_file_is_larger_than_max_bytes(output: str, format_: str) -> None:
    options = RemovalOptions.model_validate({"output": output, "format": format_, "max_bytes": 10})
    with pytest.raises(TooManyBytes):
        encode(cutout(), options, LIMIT)


def test_a_transparent_background_is_on_white() -> None:
    rgb, alpha = np.zeros((2, 2, 3), np.uint8), np.array([[0, 255], [255, 255]], np.uint8)
    info = ImageInfo("png", 2, 2)
    assert background_pixels(SourceImage(info, rgb)) is rgb
    assert background_pixels(SourceImage(info, rgb, alpha))[..., 0].tolist() == [[255, 0], [0, 0]]


PLAIN = ImageInfo("png", 1000, 500)


@pytest.mark.parametrize(
    ("given", "pixels"),
    [
        ({}, 500_000),
        ({"format": "auto"}, 500_000),
        ({"format": "webp"}, 1_000_000),
        ({"format": "avif"}, 2 * 1320 * 820),
        ({"format": "psd"}, 1_500_000),
        ({"output": "layers"}, 1_000_000),
        ({"scale": "50%"}, 1_000_000),
        ({"position": "center"}, 1_000_000),
        ({"position": "original"}, 500_000),
        ({"crop": True}, 500_000),
        ({"crop": True, "margin": "50%"}, 2_000_000),
        ({"crop": True, "margin": "100%", "format": "webp"}, 9_000_000),
        ({"canvas": "2000x1500", "scale": "50%"}, 6_000_000),
        ({"canvas": "200x150", "scale": "50%"}, 1_000_000),
        ({"canvas": "1:1"}, 2_000_000),
        ({"canvas": "1:1", "scale": "50%"}, 8_000_000),
    ],
)
def test_what_a_job_reserves(given: dict[str, Any], pixels: int) -> None:
    options = RemovalOptions.model_validate(given)
    assert reserved_pixels(PLAIN, [], options, LIMIT) == pixels
    assert reserved_pixels(PLAIN, [ImageInfo("png", 10, 20)], options, LIMIT) == pixels + 200


def test_the_bound_on_a_result_bounds_what_is_reserved_for_it() -> None:
    options = RemovalOptions(crop=True, margin="100%")
    assert 590_000 < reserved_pixels(PLAIN, [], options, 600_000) <= 600_000


def test_a_narrow_avif_reserves_the_border_that_its_encoder_adds() -> None:
    narrow = ImageInfo("png", 1, 60_000)
    options = RemovalOptions(format="avif")
    assert reserved_pixels(narrow, [], options, LIMIT) > 300 * reserved_pixels(
        narrow, [], RemovalOptions(), LIMIT
    )


PEAK = """
import resource, sys
from tests.removal.test_pipeline import long_picture, removed
from rmbg_service.removal.options import RemovalOptions
options = RemovalOptions.model_validate({given})
removed(long_picture({small}), options)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
removed(long_picture({size}), options)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts ru_maxrss in KiB")
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"shadow": "drop", "background": "red"},
        {"scale": "100%"},
        {"shadow": "drop", "crop": True, "margin": "1%"},
        {"canvas": "1500x1500", "scale": "80%", "shadow": "drop", "upscale": True},
    ],
)
@pytest.mark.parametrize("size", [(16, 60_000), (60_000, 16)])
def test_a_narrow_picture_takes_no_more_than_it_reserves(
    given: dict[str, Any], size: tuple[int, int]
) -> None:
    code = PEAK.format(given=given, size=size, small=(64, 64))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    info = ImageInfo("array", *size)
    reserved = reserved_pixels(info, [], RemovalOptions.model_validate(given), LIMIT)
    assert int(done.stdout) < reserved * BYTES_PER_PIXEL + WORKING_BYTES
