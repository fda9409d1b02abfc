import numpy as np
from PIL import Image

from rmbg_service.imaging.resize import shrink


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
