import numpy as np
import pytest

from rmbg_service.shadows.floor_lines import find_lines, floor_pattern
from rmbg_service.types import Matte, Planes

SIZE = (160, 240)
WEIGHT: Matte = np.ones(SIZE, np.float32)
BOARD_PX = 14
HORIZON = -60.0


def floorboards(seed: int = 0) -> Planes:
    """Floorboards of many tones that run towards a vanishing point above the picture's middle."""
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float32)
    nearness = (y - HORIZON) / (SIZE[0] / 2 - HORIZON)
    number = np.floor((x - SIZE[1] / 2) / nearness / BOARD_PX).astype(int) + 32
    tones = np.random.default_rng(seed).normal(0, 0.15, 64).astype(np.float32)
    return np.repeat(tones[number][..., None], 3, axis=2)


def test_floorboards_are_found_by_their_vanishing_point() -> None:
    lines = find_lines(floorboards(), WEIGHT)
    assert lines is not None
    assert lines.explained > 0.6
    assert np.rad2deg(lines.angle) % 180 == pytest.approx(90, abs=1.5)
    assert lines.convergence == pytest.approx(1 / (SIZE[0] / 2 - HORIZON), abs=0.0012)


def test_the_pattern_is_the_tone_of_each_floorboard() -> None:
    seen = floorboards()
    pattern = floor_pattern(seen, WEIGHT)
    assert pattern is not None
    assert (seen - pattern).std() < 0.45 * seen.std()
    assert np.median(np.abs(seen - pattern)) < 0.03


def test_a_shadow_across_the_floorboards_is_no_part_of_their_pattern() -> None:
    shaded = floorboards().copy()
    shaded[90:130, 80:160] += 0.6
    lit, seen = floor_pattern(floorboards(), WEIGHT), floor_pattern(shaded, WEIGHT)
    assert lit is not None
    assert seen is not None
    assert np.median(np.abs(seen - lit)[95:125, 85:155]) < 0.06


@pytest.mark.parametrize("what", ["plain", "noise"])
def test_a_floor_without_lines_has_no_pattern(what: str) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, (*SIZE, 3)).astype(np.float32)
    assert floor_pattern(noise if what == "noise" else 0 * noise, WEIGHT) is None


def test_too_little_floor_has_no_pattern() -> None:
    weight = np.zeros_like(WEIGHT)
    weight[:20, :20] = 1
    assert find_lines(floorboards(), weight) is None
    assert floor_pattern(floorboards(), weight) is None
