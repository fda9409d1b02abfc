"""The sRGB transfer function: encoded values to linear light and back (IEC 61966-2-1)."""

import numpy as np
from numpy.typing import NDArray

Light = NDArray[np.float32]
"""Any shape, float32 in [0, 1]."""

_KNEE_ENCODED, _KNEE_LINEAR = 0.04045, 0.0031308
_STEPS = 1 << 14  # so many that the darkest of 256 levels has five


def to_linear(encoded: Light) -> Light:
    """sRGB values in [0, 1] to light in [0, 1]."""
    curve = ((encoded + 0.055) / 1.055) ** 2.4
    return np.where(encoded <= _KNEE_ENCODED, encoded / 12.92, curve).astype(np.float32)


def to_encoded(linear: Light) -> Light:
    """Light in [0, 1] to sRGB values in [0, 1]."""
    curve = 1.055 * np.maximum(linear, _KNEE_LINEAR) ** (1 / 2.4) - 0.055
    return np.where(linear <= _KNEE_LINEAR, linear * 12.92, curve).astype(np.float32)


def to_8_bits(linear: Light) -> NDArray[np.uint8]:
    """Light of any range to sRGB values, uint8; what is beyond [0, 1] is clipped."""
    steps = np.clip(linear, 0, 1) * np.float32(_STEPS - 1) + np.float32(0.5)
    return np.asarray(_LEVELS[steps.astype(np.uint16)])


_LEVELS = np.round(
    255 * to_encoded(np.arange(_STEPS, dtype=np.float32) / np.float32(_STEPS - 1))
).astype(np.uint8)
