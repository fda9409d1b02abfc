"""Small ICC profiles made by hand, whose colours can be computed independently (ICC.1:2010)."""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

D50 = (0.9642, 1.0, 0.8249)
# Colorants adapted to D50, in columns red, green, blue.
DISPLAY_P3 = np.array(
    [[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]]
)
SRGB = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
)
GAMMA = 2.2


def rgb_profile(colorants: Floats = DISPLAY_P3) -> bytes:
    """An RGB display profile with these colorants and a plain gamma of 2.2."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(GAMMA * 256)) + bytes(2)
    tags = {b"wtpt": _xyz(D50)}
    for name, column in zip((b"r", b"g", b"b"), colorants.T, strict=True):
        tags[name + b"XYZ"] = _xyz(tuple(column))
        tags[name + b"TRC"] = curve
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags)


def profile_with(tags: dict[bytes, bytes]) -> bytes:
    """An RGB display profile of these tags and a white point."""
    return _profile(b"mntr", b"RGB ", b"XYZ ", {b"wtpt": _xyz(D50)} | tags)


def grey_profile() -> bytes:
    """A grey profile whose values are linear light."""
    linear = b"curv" + bytes(4) + struct.pack(">I", 0)
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"wtpt": _xyz(D50), b"kTRC": linear})


def cmyk_profile() -> bytes:
    """A CMYK printer profile in which L* falls with the ink, black halves it, and a* is 40 c."""
    corners = np.stack(np.meshgrid(*[[0, 1]] * 4, indexing="ij"), axis=-1).reshape(16, 4)
    lab = np.array([cmyk_to_lab(*ink) for ink in corners])
    encoded = np.round(lab * (255 / 100, 1, 1) + (0, 128, 128)).astype(np.uint8)
    identity = struct.pack(">9i", *(65536 if i in (0, 4, 8) else 0 for i in range(9)))
    ramp = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity
    table += ramp * 4 + encoded.tobytes() + ramp * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"wtpt": _xyz(D50), b"A2B0": table})


def cmyk_to_lab(c: float, m: float, y: float, k: float) -> Floats:
    """The colour that `cmyk_profile` gives to inks in [0, 1]."""
    return np.array([(100 - 20 * (c + m + y)) * (1 - 0.5 * k), 40 * c, 0.0])


def p3_to_srgb(rgb: NDArray[np.uint8]) -> Floats:
    """sRGB in [0, 255] of colours in `rgb_profile()`."""
    linear = (rgb / 255.0) ** GAMMA
    return encode_srgb(linear @ DISPLAY_P3.T @ np.linalg.inv(SRGB).T)


def lab_to_srgb(lab: Floats) -> Floats:
    """sRGB in [0, 255] of L*a*b* under D50."""
    fy = (lab[..., 0] + 16) / 116
    f = np.stack([fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * D50
    return encode_srgb(xyz @ np.linalg.inv(SRGB).T)


def encode_srgb(linear: Floats) -> Floats:
    """sRGB in [0, 255] of linear light, clipped (IEC 61966-2-1)."""
    linear = np.clip(linear, 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return curved * 255


def delta_e(first: Any, second: Any) -> Floats:
    """CIE 1976 colour difference of two sRGB pictures in [0, 255]."""
    return np.asarray(np.linalg.norm(_lab(first) - _lab(second), axis=-1))


def _lab(rgb: Any) -> Floats:
    value = np.asarray(rgb, np.float64) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    ratio = linear @ SRGB.T / D50
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1
    )


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def _profile(kind: bytes, space: bytes, pcs: bytes, tags: dict[bytes, bytes]) -> bytes:
    text = b"made by a test\0"
    tags = tags | {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text" + bytes(4) + text,
    }
    offset = 128 + 4 + 12 * len(tags)
    directory, data = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        directory += name + struct.pack(">II", offset + len(data), len(content))
        data += content
    header = struct.pack(">I4sI4s4s4s", offset + len(data), b"test", 0x02400000, kind, space, pcs)
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += struct.pack(">3i", *(round(value * 65536) for value in D50))
    return header.ljust(128, b"\0") + directory + data
