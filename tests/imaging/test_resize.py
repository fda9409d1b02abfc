import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from rmbg_service.imaging.resize import shrink, shrink_visible


def test_shrinking_equals_pillow_s_bilinear_up_to_rounding() -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (30, 40, 3), np.uint8)
    rgb = np.asarray(Image.fromarray(coarse).resize((2000, 1500), Image.Resampling.BICUBIC))
    expected = np.asarray(Image.fromarray(rgb).resize((320, 320), Image.Resampling.BILINEAR))
    difference = np.abs(shrink(rgb, (320, 320)).astype(int) - expected)
    assert difference.max() <= 4
    assert difference.mean() < 0.5


def test_fine_stripes_are_averaged_not_aliased() -> None:
    stripes = np.zeros((2560, 2560, 3), np.uint8)
    stripes[:, ::2] = 255
    small = shrink(stripes, (320, 320))
    assert small.shape == (320, 320, 3)
    assert np.ptp(small) <= 2
    assert abs(int(small[0, 0, 0]) - 127) <= 2


def test_any_shape_becomes_the_input_s() -> None:
    for shape in ((1, 1, 3), (1, 5000, 3), (5000, 1, 3), (320, 320, 3)):
        assert shrink(np.full(shape, 7, np.uint8), (320, 288)).shape == (320, 288, 3)
        assert (shrink(np.full(shape, 7, np.uint8), (320, 288)) == 7).all()


@pytest.mark.parametrize(
    ("greys", "backdrop"), [((0, 40), 255), ((255, 210), 0), ((0, 255), 128), ((128, 140), 255)]
)
def test_the_backdrop_is_what_the_visible_pixels_are_least_like(
    greys: tuple[int, int], backdrop: int
) -> None:
    rgb = np.full((40, 60, 3), 128, np.uint8)
    rgb[:20, :30], rgb[20:, :30] = greys
    alpha = np.zeros((40, 60), np.uint8)
    alpha[:, :30] = 255
    small = shrink_visible(rgb, alpha, (4, 6))
    assert small.dtype == np.uint8
    assert small[[0, 3, 0], [0, 0, 5], 0].tolist() == [*greys, backdrop]


def test_an_opaque_picture_is_shrunk_as_it_is() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    opaque = np.full((90, 70), 255, np.uint8)
    assert (shrink_visible(rgb, opaque, (30, 30)) == shrink(rgb, (30, 30))).all()


@pytest.mark.parametrize("shape", [(1, 60_000), (60_000, 1), (16, 60_000), (60_000, 16)])
def test_a_long_picture_is_averaged_before_rows_are_stretched(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow stretches every row first: 60,000 rows of one pixel would become 60,000 of 320."""
    seen: list[tuple[int, ...]] = []
    from_array = Image.fromarray

    def recording(array: NDArray[np.uint8]) -> Image.Image:
        seen.append(array.shape)
        return from_array(array)

    monkeypatch.setattr(Image, "fromarray", recording)
    ramp = np.linspace(0, 255, max(shape)).astype(np.uint8)
    plane = ramp[:, None] if shape[1] < shape[0] else ramp[None]
    rgb = np.repeat(np.broadcast_to(plane, shape)[..., None], 3, axis=2)
    small = shrink(rgb, (320, 320))
    assert max(seen[0]) < 4 * 320
    line = small[:, 160, 0] if shape[1] < shape[0] else small[160, :, 0]
    assert np.abs(line - np.linspace(0, 255, 320)).max() < 2
