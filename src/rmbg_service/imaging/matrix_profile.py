"""Colours of 16 bits to sRGB by an ICC profile that is three curves and a matrix (ICC.1:2010).

Pillow lets LittleCMS convert 8 bits a sample only. In wide and in linear spaces, those of raw
converters and renderers, that shows as steps in the shadows.
"""

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rmbg_service.imaging.colour_space import XYZ_D50_TO_SRGB
from rmbg_service.imaging.light import Light, to_8_bits
from rmbg_service.imaging.tiling import bands

_LEVELS = 1 << 16
_PARAMETERS = (1, 3, 4, 5, 7)  # of each type of parametric curve
_MAX_TAGS = 100  # LittleCMS reads no more, and no longer tables
_MAX_POINTS = 0x7FFF
_LIGHTEST_BLACK = 0.184  # L* of 50, as LittleCMS has it


class MatrixProfile(NamedTuple):
    """Light by level: `curves` `(3, 65536)` in [0, 1]; `to_xyz` `(3, 3)` goes on to XYZ in D50."""

    curves: Light
    to_xyz: NDArray[np.float64]

    @property
    def black(self) -> float:
        """The light of the darkest colour, as a share of white's."""
        return float(np.clip(self.to_xyz[1] @ self.curves[:, 0], 0, _LIGHTEST_BLACK))


def read_matrix_profile(icc: bytes) -> MatrixProfile | None:
    """The curves and the matrix of an RGB profile; None if it has a table, which counts more."""
    tags = _tags(icc)
    if icc[16:24] != b"RGB XYZ " or any(name[:3] == b"A2B" for name in tags):
        return None
    try:
        columns = [struct.unpack_from(">3i", tags[name + b"XYZ"], 8) for name in (b"r", b"g", b"b")]
        with np.errstate(all="ignore"):
            curves = [_curve(tags[name + b"TRC"]) for name in (b"r", b"g", b"b")]
    except (KeyError, IndexError, struct.error):
        return None
    light = np.nan_to_num(np.clip(curves, 0, 1)).astype(np.float32)
    return MatrixProfile(light, np.array(columns).T / 65536)


def deep_to_srgb(rgb: NDArray[np.uint16], profile: MatrixProfile) -> NDArray[np.uint8]:
    """`rgb` `(H, W, 3)` uint16 in the space of `profile`, as 8-bit sRGB.

    The rendering intent is relative colorimetric, with black point compensation.
    """
    black = profile.black
    to_srgb = (XYZ_D50_TO_SRGB @ profile.to_xyz).T.astype(np.float32)
    result = np.empty(rgb.shape, np.uint8)
    for rows in bands(rgb.shape):
        light = np.stack(
            [curve[rgb[rows, :, channel]] for channel, curve in enumerate(profile.curves)], axis=-1
        )
        result[rows] = to_8_bits((light @ to_srgb - black) / (1 - black))
    return result


def _tags(icc: bytes) -> dict[bytes, bytes]:
    """The content of each tag by its name, up to the length of the longest curve."""
    count = min(int.from_bytes(icc[128:132], "big"), _MAX_TAGS, (len(icc) - 132) // 12)
    entries = (struct.unpack_from(">4sII", icc, 132 + 12 * number) for number in range(count))
    most = 12 + 2 * _MAX_POINTS
    return {name: icc[start : start + min(size, most)] for name, start, size in entries}


def _curve(tag: bytes) -> NDArray[np.float64]:
    """The light of each level; raises `struct.error` or `IndexError` for a broken curve."""
    level = np.linspace(0, 1, _LEVELS)
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count <= 1:
            return np.asarray(level ** (struct.unpack_from(">H", tag, 12)[0] / 256 if count else 1))
        points = struct.unpack_from(f">{count}H", tag, 12)
        return np.interp(level, np.linspace(0, 1, count), np.array(points) / 65535)
    (kind,) = struct.unpack_from(">H", tag, 8)
    count = _PARAMETERS[kind]
    given = [value / 65536 for value in struct.unpack_from(f">{count}i", tag, 12)]
    g, a, b, c, d, e, f = given + [1.0, 0.0, 0.0, 0.0, 0.0, 0.0][count - 1 :]
    if kind in (1, 2):  # these begin at the root of a x + b, and add c everywhere
        c, d, e, f = 0.0, -b / a if a else 0.0, c, c
    above = np.maximum(a * level + b, 0) ** g + e
    return np.asarray(np.where(level >= d, above, c * level + f))
