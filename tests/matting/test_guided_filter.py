import numpy as np
import pytest

from rmbg_service.matting.guided_filter import apply, fit, fit_part
from rmbg_service.types import Matte, Planes

SIDE = 60


def guide() -> Planes:
    """Red on the left, blue on the right."""
    planes = np.zeros((SIDE, SIDE, 3), np.float32)
    planes[:, : SIDE // 2, 0] = 1
    planes[:, SIDE // 2 :, 2] = 1
    return planes


def soft_matte(edge: float) -> Matte:
    row = np.clip((np.arange(SIDE) + 0.5 - edge) / 6 + 0.5, 0, 1)
    return np.tile(row.astype(np.float32), (SIDE, 1))


def test_a_soft_matte_follows_the_colours() -> None:
    model, trust = fit(guide(), soft_matte(SIDE / 2), 8)
    matte = apply(model, guide())
    assert matte[30, SIDE // 2 - 1] < 0.2
    assert matte[30, SIDE // 2] > 0.8
    assert trust[30, SIDE // 2] > 0.7


def test_colours_that_do_not_explain_the_matte_are_not_trusted() -> None:
    noise = np.random.default_rng(0).random((SIDE, SIDE, 3), np.float32)
    assert fit(noise, soft_matte(SIDE / 2), 8).trust[30, SIDE // 2] < 0.2


def test_a_plain_guide_gives_the_mean() -> None:
    grey = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    model, _ = fit(grey, np.full((SIDE, SIDE), 0.3, np.float32), 4)
    assert apply(model, grey) == pytest.approx(np.full((SIDE, SIDE), 0.3), abs=1e-4)


@pytest.mark.parametrize(
    "part",
    [
        (slice(20, 31), slice(27, 33)),
        (slice(0, 1), slice(0, SIDE)),
        (slice(50, SIDE), slice(SIDE - 1, SIDE)),
    ],
)
def test_a_part_is_fitted_as_in_the_whole(part: tuple[slice, slice]) -> None:
    rng = np.random.default_rng(4)
    noisy = rng.random((SIDE, SIDE, 3), np.float32)
    matte = np.asarray(0.5 * noisy[..., 0] + 0.5 * soft_matte(SIDE / 2), np.float32)
    whole, alone = fit(noisy, matte, 5), fit_part(noisy, matte, 5, part)
    assert alone.model == pytest.approx(whole.model[part], abs=1e-4)
    assert alone.trust == pytest.approx(whole.trust[part], abs=1e-4)
