import numpy as np
import pytest

from rmbg_service.errors import InvalidImage
from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.matting.strokes import Strokes
from rmbg_service.removal.guidance import Guidance, prediction_of, read_matte, read_strokes
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.types import Alpha, Box

SIZE = (300, 400)


def image(grey: Alpha, alpha: Alpha | None = None) -> SourceImage:
    info = ImageInfo("array", grey.shape[1], grey.shape[0])
    return SourceImage(info, np.repeat(grey[..., None], 3, axis=2), alpha)


def ramp(size: tuple[int, int] = SIZE) -> Alpha:
    return np.tile(np.linspace(0, 255, size[1]).astype(np.uint8), (size[0], 1))


def mask(size: tuple[int, int] = SIZE) -> Alpha:
    return np.where(ramp(size) > 127, np.uint8(255), np.uint8(0))


def test_a_matte_is_the_transparency_or_else_the_brightness() -> None:
    grey, opaque = ramp(), np.full(SIZE, 255, np.uint8)
    assert (read_matte(image(grey), SIZE) == grey).all()
    assert (read_matte(image(grey, opaque), SIZE) == grey).all()
    assert (read_matte(image(opaque, grey), SIZE) == grey).all()
    assert read_matte(image(ramp((600, 800))), SIZE).shape == SIZE
    assert read_matte(image(ramp((30, 40))), SIZE).shape == (30, 40)


def test_strokes_need_a_transparent_image() -> None:
    with pytest.raises(InvalidImage, match="opaque"):
        read_strokes(image(ramp()), SIZE)
    with pytest.raises(InvalidImage, match="opaque"):
        read_strokes(image(ramp(), np.full(SIZE, 255, np.uint8)), SIZE)
    assert not read_strokes(image(ramp(), np.zeros(SIZE, np.uint8)), SIZE).painted.any()


def test_a_matte_as_large_as_the_picture_is_final() -> None:
    prediction = prediction_of(ramp(), SIZE, RemovalOptions())
    assert prediction.alpha is not None
    assert (prediction.alpha == ramp()).all()
    assert prediction.found


@pytest.mark.parametrize(
    ("matte", "given", "refinement"),
    [
        (ramp((150, 200)), {}, "guided"),
        (ramp((750, 1000)), {}, "selective"),
        (ramp((750, 1000)), {"detail": "guided"}, "guided"),
        (mask((3000, 4000)), {}, "guided"),
    ],
)
def test_other_mattes_are_refined(matte: Alpha, given: dict[str, str], refinement: str) -> None:
    options = RemovalOptions.model_validate(given)
    prediction = prediction_of(matte, (3000, 4000), options)
    assert (prediction.alpha, prediction.refinement) == (None, refinement)
    assert max(prediction.matte.shape) <= 1024


def test_detail_off_takes_every_matte_as_it_is() -> None:
    prediction = prediction_of(mask(), SIZE, RemovalOptions(detail="off"))
    assert prediction.alpha is not None
    assert (prediction.alpha == mask()).all()


def test_a_thin_subject_is_found_in_a_large_matte() -> None:
    wire = np.zeros((3000, 4000), np.uint8)
    wire[1500, :] = 200
    wire[1501, :] = 100
    assert prediction_of(wire, wire.shape, RemovalOptions(detail="off")).found
    assert not prediction_of(wire * 0, wire.shape, RemovalOptions()).found


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("scale", [1, 2])
def test_a_mask_of_thin_lines_is_taken_as_it_is(width: int, scale: int) -> None:
    wire = np.zeros((1500, 2000), np.uint8)
    wire[700 : 700 + width, 100:] = 255
    prediction = prediction_of(wire, (1500 * scale, 2000 * scale), RemovalOptions())
    assert prediction.found
    assert prediction.alpha is not None
    lines = prediction.alpha[700 * scale : (700 + width) * scale, 100 * scale + 2 :]
    assert lines.min() >= 128


@pytest.mark.parametrize("scale", [1, 4])
def test_the_part_within_a_region(scale: int) -> None:
    region = Box(100, 60, 300, 260)
    held = (SIZE[0] // scale, SIZE[1] // scale)
    plane = ramp(held)
    whole = SourceImage(ImageInfo("array", SIZE[1], SIZE[0]), np.zeros((*SIZE, 3), np.uint8))
    guidance = Guidance(plane, Strokes(plane, plane))
    assert guidance.within(whole) is guidance
    part = guidance.within(whole.cut(region))
    assert part.matte is not None
    assert part.strokes is not None
    expected = plane[60 // scale : 260 // scale, 100 // scale : 300 // scale]
    for found in (part.matte, *part.strokes):
        assert found.shape == expected.shape
        assert np.abs(found.astype(int) - expected).max() <= 1
