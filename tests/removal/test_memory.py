"""What a job reserves, and that it takes no more, whatever the shape of the picture."""

import subprocess
import sys
from typing import Any

import pytest

from rmbg_service.imaging.source import ImageInfo
from rmbg_service.removal.memory import reserved_pixels
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.settings import BYTES_PER_PIXEL, WORKING_BYTES

MANY = 10**9
PLAIN = ImageInfo("png", 1000, 500)


@pytest.mark.parametrize(
    ("given", "pixels"),
    [
        ({}, 500_000),
        ({"format": "auto"}, 500_000),
        ({"format": "webp"}, 1_000_000),
        ({"format": "avif"}, 2 * 1320 * 820),
        ({"scale": "50%"}, 1_000_000),
        ({"position": "center"}, 1_000_000),
        ({"position": "original"}, 500_000),
        ({"crop": True}, 500_000),
        ({"crop": True, "margin": "50%"}, 2_000_000),
        ({"crop": True, "margin": "100%", "format": "webp"}, 9_000_000),
    ],
)
def test_what_a_job_reserves(given: dict[str, Any], pixels: int) -> None:
    options = RemovalOptions.model_validate(given)
    assert reserved_pixels(PLAIN, None, options, MANY) == pixels
    assert reserved_pixels(PLAIN, ImageInfo("png", 10, 20), options, MANY) == pixels + 200


def test_the_bound_on_a_result_bounds_what_is_reserved_for_it() -> None:
    options = RemovalOptions(crop=True, margin="100%")
    assert reserved_pixels(PLAIN, None, options, 600_000) == 600_000


def test_a_narrow_avif_reserves_the_border_that_its_encoder_adds() -> None:
    narrow = ImageInfo("png", 1, 60_000)
    options = RemovalOptions(format="avif")
    assert reserved_pixels(narrow, None, options, MANY) > 300 * reserved_pixels(
        narrow, None, RemovalOptions(), MANY
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
@pytest.mark.parametrize("given", [{}, {"shadow": "drop", "background": "red"}, {"scale": "100%"}])
@pytest.mark.parametrize("size", [(16, 60_000), (60_000, 16)])
def test_a_narrow_picture_takes_no_more_than_it_reserves(
    given: dict[str, Any], size: tuple[int, int]
) -> None:
    code = PEAK.format(given=given, size=size, small=(64, 64))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    info = ImageInfo("array", *size)
    reserved = reserved_pixels(info, None, RemovalOptions.model_validate(given), MANY)
    assert int(done.stdout) < reserved * BYTES_PER_PIXEL + WORKING_BYTES
