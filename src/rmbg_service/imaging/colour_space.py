"""Colour spaces that a file names by numbers rather than by an ICC profile (ITU-T H.273)."""

import struct
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Point: TypeAlias = tuple[float, float]
Curve: TypeAlias = tuple[float, float, float, float, float]
"""`(g, a, b, c, d)` of ICC's parametric type 3: `(a x + b)^g` for `x >= d`, else `c x`."""

_D65, _C, _DCI, _E = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351), (1 / 3, 1 / 3)
BT709 = (_D65, (0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_BT601_525 = (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070))
_PRIMARIES: dict[int, tuple[Point, ...]] = {  # table 2: white, red, green, blue
    1: BT709,
    4: (_C, (0.67, 0.33), (0.21, 0.71), (0.14, 0.08)),
    5: (_D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: _BT601_525,
    7: _BT601_525,
    8: (_C, (0.681, 0.319), (0.243, 0.692), (0.145, 0.049)),
    9: (_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    10: (_E, (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)),
    11: (_DCI, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    12: (_D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    22: (_D65, (0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),
}
SRGB: Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_CAMERA: Curve = (1 / 0.45, 1 / 1.0993, 0.0993 / 1.0993, 1 / 4.5, 0.08124)
_CURVES: dict[int, Curve] = {  # table 3, from the coded value to light
    1: _CAMERA,
    4: (2.2, 1, 0, 0, 0),
    5: (2.8, 1, 0, 0, 0),
    6: _CAMERA,
    7: (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4.0, 0.0913),
    8: (1, 1, 0, 0, 0),
    11: _CAMERA,
    12: _CAMERA,
    13: SRGB,
    14: _CAMERA,
    15: _CAMERA,
    17: (2.6, (52.37 / 48) ** (1 / 2.6), 0, 0, 0),
}
_HDR: dict[int, Literal["pq", "hlg"]] = {16: "pq", 18: "hlg"}
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_D50_XYZ = np.array([0.9642, 1.0, 0.8249])


@dataclass(frozen=True)
class ColourSpace:
    """Chromaticities of white, red, green and blue, and what turns a coded value into light."""

    primaries: tuple[Point, ...]
    transfer: Curve | Literal["pq", "hlg"]

    @property
    def is_hdr(self) -> bool:
        """Whether it is of high dynamic range: such colours have to be tone-mapped."""
        return isinstance(self.transfer, str)

    @classmethod
    def from_code_points(cls, primaries: int, transfer: int) -> "ColourSpace | None":
        """The space of these code points; None for sRGB, which also unknown ones count as."""
        space = cls(
            _PRIMARIES.get(primaries, BT709), _HDR.get(transfer) or _CURVES.get(transfer, SRGB)
        )
        return None if space == cls(BT709, SRGB) else space

    @classmethod
    def from_png(cls, numbers: tuple[float, ...], gamma: float | None) -> "ColourSpace | None":
        """The space of a PNG's cHRM and gAMA; no gamma is sRGB's curve. None if they are broken."""
        white, red, green, blue = zip(numbers[::2], numbers[1::2], strict=True)
        if gamma is not None and not 0.1 <= gamma <= 10:
            return None
        space = cls((white, red, green, blue), SRGB if gamma is None else (1 / gamma, 1, 0, 0, 0))
        try:
            matrix = space.to_xyz_d50()
        except (np.linalg.LinAlgError, ZeroDivisionError):
            return None
        return space if np.isfinite(matrix).all() and abs(matrix).max() < 4 else None

    def to_xyz_d50(self) -> NDArray[np.float64]:
        """The matrix `(3, 3)` from linear RGB to XYZ under D50, adapted by Bradford's."""
        white, *rgb = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in self._safe())
        columns = np.stack(rgb, axis=1)
        to_xyz = columns * np.linalg.solve(columns, white)
        scale = (_BRADFORD @ _D50_XYZ) / (_BRADFORD @ white)
        adapt = np.linalg.inv(_BRADFORD) @ (scale[:, None] * _BRADFORD)
        return np.asarray(adapt @ to_xyz)

    def _safe(self) -> list[Point]:
        return [(x, max(y, 1e-6)) for x, y in self.primaries]

    def icc(self) -> bytes:
        """An ICC profile (version 4.3) of this space; only for those of standard dynamic range."""
        assert not isinstance(self.transfer, str), "an HDR space has no ICC profile of this kind"
        numbers = struct.pack(">5i", *(round(value * 65536) for value in self.transfer))
        curve = b"para" + bytes(4) + struct.pack(">HH", 3, 0) + numbers
        tags = {b"wtpt": _xyz(_D50_XYZ)}
        for name, column in zip((b"r", b"g", b"b"), self.to_xyz_d50().T, strict=True):
            tags[name + b"XYZ"] = _xyz(column)
            tags[name + b"TRC"] = curve
        return _profile(tags)


XYZ_D50_TO_SRGB = np.linalg.inv(ColourSpace(BT709, SRGB).to_xyz_d50())
"""The matrix `(3, 3)` from XYZ under D50 to linear sRGB."""

ADOBE_RGB = ColourSpace((_D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), (563 / 256, 1, 0, 0, 0))
"""Adobe RGB (1998), section 4.3."""


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def _profile(tags: dict[bytes, bytes]) -> bytes:
    """An RGB display profile with these tags, which are 4-byte aligned (ICC.1:2010)."""
    name = "colours of the file".encode("utf-16-be")
    text = b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(name), 28) + name
    tags = tags | {b"desc": text + bytes(-len(text) % 4), b"cprt": text + bytes(-len(text) % 4)}
    position = 128 + 4 + 12 * len(tags)
    directory, content = struct.pack(">I", len(tags)), b""
    for tag, value in tags.items():
        directory += tag + struct.pack(">II", position + len(content), len(value))
        content += value
    size = position + len(content)
    header = struct.pack(">I4xI4s4s4s12x4s", size, 0x04300000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    white = struct.pack(">3i", *(round(value * 65536) for value in _D50_XYZ))
    return (header.ljust(68, b"\0") + white).ljust(128, b"\0") + directory + content
