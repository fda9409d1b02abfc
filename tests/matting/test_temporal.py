from collections.abc import Iterator

import numpy as np
import pytest

from rmbg_service.matting.temporal import MattedFrame, mean_with_neighbours, neighbourhoods
from rmbg_service.types import Alpha, RgbImage

HEIGHT, WIDTH = 90, 120
TEXTURE = np.random.default_rng(3).integers(0, 80, (HEIGHT // 3, WIDTH // 3, 3))


def shot(left: int) -> tuple[RgbImage, Alpha]:
    """A textured square, `left` px from the left, over a texture; and its alpha."""
    rgb = np.kron(TEXTURE, np.ones((3, 3, 1))).astype(np.uint8)
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    rgb[30:60, left : left + 30] = rgb[0:30, 0:30] + np.array([150, 120, 100], np.uint8)
    alpha[30:60, left : left + 30] = 255
    return rgb, alpha


def filtered(shots: list[tuple[RgbImage, Alpha]]) -> list[MattedFrame]:
    frames = [MattedFrame(*shot, pts) for pts, shot in enumerate(shots)]
    return [mean_with_neighbours(each) for each in neighbourhoods(frames)]


def test_every_frame_comes_once_in_order_with_its_time() -> None:
    for count in range(4):
        frames = filtered([shot(20)] * count)
        assert [frame.pts for frame in frames] == list(range(count))
        assert all(frame.alpha.dtype == np.uint8 for frame in frames)


def test_it_holds_back_one_frame_and_no_more() -> None:
    read: list[int] = []

    def frames() -> Iterator[MattedFrame]:
        for pts in range(4):
            read.append(pts)
            yield MattedFrame(*shot(20), pts)

    next(neighbourhoods(frames()))
    assert read == [0, 1]


def test_a_matte_without_flicker_stays_as_it_is() -> None:
    for frame in filtered([shot(20)] * 3):
        assert (frame.alpha == shot(20)[1]).all()


def test_noise_of_the_matte_is_averaged() -> None:
    rng = np.random.default_rng(1)
    rgb, truth = shot(20)
    clean = truth * 0.6 + 50
    noisy = [clean + rng.normal(0, 20, truth.shape) for _ in range(6)]
    shots = [(rgb, alpha.clip(0, 255).astype(np.uint8)) for alpha in noisy]
    before = np.mean([np.abs(alpha - clean).mean() for _, alpha in shots])
    after = np.mean([np.abs(frame.alpha - clean).mean() for frame in filtered(shots)[1:-1]])
    assert after < 0.65 * before  # three independent frames: 0.58


@pytest.mark.parametrize("speed", [1, 3, 6])
def test_a_motion_leaves_no_trail(speed: int) -> None:
    shots = [shot(10 + speed * number) for number in range(6)]
    for (_, truth), frame in zip(shots, filtered(shots), strict=True):
        wrong = np.abs(frame.alpha.astype(int) - truth)
        assert wrong.mean() < 0.5
        assert wrong[:, 100:].max() == 0


def test_a_cut_mixes_nothing() -> None:
    dark = (np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8))
    light = (np.full((HEIGHT, WIDTH, 3), 250, np.uint8), np.full((HEIGHT, WIDTH), 255, np.uint8))
    frames = filtered([dark, light, dark])
    assert [int(frame.alpha.max()) for frame in frames] == [0, 255, 0]
    assert frames[1].alpha.min() == 255


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (900, 16), (720, 1290)])
def test_any_size_is_accepted(size: tuple[int, int]) -> None:
    rgb, alpha = np.full((*size, 3), 90, np.uint8), np.full(size, 200, np.uint8)
    for frame in filtered([(rgb, alpha)] * 3):
        assert (frame.alpha == 200).all()
