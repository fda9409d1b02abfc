import numpy as np
import pytest

from rmbg_service.imaging.light import to_8_bits, to_encoded, to_linear

LEVELS = np.linspace(0, 1, 256, dtype=np.float32)


def test_there_and_back() -> None:
    assert to_encoded(to_linear(LEVELS)) == pytest.approx(LEVELS, abs=1e-5)


def test_middle_grey() -> None:
    assert to_linear(np.array([0, 0.5, 1], np.float32)) == pytest.approx([0, 0.21404, 1], abs=1e-4)


def test_both_branches_meet_at_the_knee() -> None:
    assert to_linear(np.array([0.04045], np.float32))[0] == pytest.approx(0.0031308, abs=1e-6)


def test_every_level_comes_back_and_all_else_is_clipped() -> None:
    assert (to_8_bits(to_linear(LEVELS)) == np.arange(256)).all()
    assert to_8_bits(np.array([-3, 7], np.float32)).tolist() == [0, 255]
