import numpy as np
import pytest

from rmbg_service.matting import foreground
from rmbg_service.matting.foreground import estimate_foreground
from rmbg_service.types import Matte, RgbImage

HAIR = (120.0, 70.0, 30.0)
SKY = (90.0, 160.0, 240.0)


def soft_disc(size: int, softness: float) -> Matte:
    y, x = np.mgrid[:size, :size]
    radius = np.hypot(y - size / 2, x - size / 2)
    return np.asarray(np.clip((size / 3 - radius) / softness + 0.5, 0, 1), np.float32)


def mixed(alpha: Matte, front: Matte, back: Matte) -> RgbImage:
    share = alpha[..., None]
    return np.rint(share * front + (1 - share) * back).astype(np.uint8)


def error(
    picture: RgbImage, truth: Matte, where: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> float:
    return float(np.abs(picture.astype(np.float32) - truth)[where].mean())


def plain(size: int, colour: tuple[float, float, float]) -> Matte:
    return np.full((size, size, 3), colour, np.float32)


def test_one_colour_on_another_gets_its_colour_back() -> None:
    alpha, front, back = soft_disc(300, 24), plain(300, HAIR), plain(300, SKY)
    picture = mixed(alpha, front, back)
    soft = (alpha > 0.02) & (alpha < 0.98)
    assert error(estimate_foreground(picture, alpha), front, soft) < 0.15 * error(
        picture, front, soft
    )


def test_varied_colours_lose_most_of_the_old_background() -> None:
    rng = np.random.default_rng(5)
    alpha = soft_disc(600, 30)
    ramp = np.linspace(0, 1, 600, dtype=np.float32)[:, None, None]
    front = plain(600, HAIR) * (0.6 + 0.6 * ramp)
    back = plain(600, SKY) + rng.normal(0, 12, (600, 600, 1)).astype(np.float32)
    picture = mixed(alpha, front, np.clip(back, 0, 255))
    soft = (alpha > 0.02) & (alpha < 0.98)
    assert error(estimate_foreground(picture, alpha), front, soft) < 0.3 * error(
        picture, front, soft
    )


def test_opaque_and_transparent_pixels_keep_their_colours() -> None:
    alpha = soft_disc(300, 24)
    noise = np.random.default_rng(2).integers(0, 256, (300, 300, 3)).astype(np.uint8)
    before = noise.copy()
    colours = estimate_foreground(noise, alpha)
    levels = np.round(alpha * 255)
    fixed = (levels == 0) | (levels == 255)
    assert (colours[fixed] == noise[fixed]).all()
    assert (colours[~fixed] != noise[~fixed]).any()
    assert (noise == before).all()


def test_a_soft_edge_of_a_plain_picture_is_not_darkened() -> None:
    picture = np.full((300, 300, 3), 200, np.uint8)
    assert (estimate_foreground(picture, np.full((300, 300), 128, np.uint8)) == 200).all()
    assert (estimate_foreground(picture, soft_disc(300, 24)) == 200).all()


def test_float_and_uint8_alpha_mean_the_same() -> None:
    alpha = soft_disc(300, 24)
    picture = mixed(alpha, plain(300, HAIR), plain(300, SKY))
    from_levels = estimate_foreground(picture, np.round(alpha * 255).astype(np.uint8))
    assert (estimate_foreground(picture, alpha) == from_levels).all()


def test_colours_are_worked_out_around_the_soft_band_as_in_the_whole_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alpha = np.zeros((400, 600), np.float32)
    alpha[180:240, 290:350] = soft_disc(60, 24)
    stripes = np.random.default_rng(2).integers(0, 256, (1, 100, 3)).astype(np.uint8)
    picture = np.tile(stripes.repeat(6, axis=1), (400, 1, 1))
    colours = estimate_foreground(picture, alpha).astype(int)
    monkeypatch.setattr(foreground, "REACH_PX", 600)
    assert np.abs(colours - estimate_foreground(picture, alpha)).max() <= 1
    monkeypatch.setattr(foreground, "REACH_PX", 2)
    assert np.abs(colours - estimate_foreground(picture, alpha)).max() > 1


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 37), (37, 1), (2, 3), (129, 127), (5000, 1), (2, 5000)]
)
def test_odd_sizes(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    colours = estimate_foreground(picture, rng.random(size, dtype=np.float32))
    assert colours.shape == picture.shape
    assert colours.dtype == np.uint8
