"""High dynamic range to sRGB (ITU-R BT.2100)."""

import numpy as np
from numpy.typing import NDArray

from rmbg_service.imaging.colour_space import XYZ_D50_TO_SRGB, ColourSpace
from rmbg_service.imaging.light import to_8_bits

_SDR_WHITE_NITS = 203.0  # the reference white of ITU-R BT.2408
_HLG_PEAK_NITS = 1000.0
_KNEE = 0.6
_BAND_PIXELS = 1 << 20


def hdr_to_srgb(
    pixels: NDArray[np.uint8] | NDArray[np.uint16], space: ColourSpace
) -> NDArray[np.uint8]:
    """`(H, W, 3)` PQ or HLG samples, tone-mapped to uint8 sRGB.

    A light of 203 cd/m2, the white of a page, is SDR's white. Up to 0.6 of it light is kept as it
    is; above, an exponential shoulder leads the largest of the three primaries to 1, and the other
    two follow in proportion, so that hues stay.
    """
    levels = np.arange(np.iinfo(pixels.dtype).max + 1) / np.iinfo(pixels.dtype).max
    table = (_pq(levels) if space.transfer == "pq" else _hlg(levels)).astype(np.float32)
    to_srgb = (XYZ_D50_TO_SRGB @ space.to_xyz_d50()).T.astype(np.float32)
    weights = space.to_xyz_d50()[1].astype(np.float32)
    result = np.empty(pixels.shape, np.uint8)
    rows = max(1, _BAND_PIXELS // pixels.shape[1])
    for top in range(0, pixels.shape[0], rows):
        light = table[pixels[top : top + rows]]
        if space.transfer == "hlg":  # the system gamma of a display of 1,000 cd/m2
            light *= np.maximum(light @ weights, 1e-6)[..., None] ** 0.2
            light *= _HLG_PEAK_NITS / _SDR_WHITE_NITS
        light = np.maximum(light @ to_srgb, 0)
        largest = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
        above = np.maximum(largest - _KNEE, 0) / (1 - _KNEE)
        shoulder = np.minimum(largest, _KNEE) + (1 - _KNEE) * -np.expm1(-above)
        light *= shoulder / largest
        result[top : top + rows] = to_8_bits(light)
    return result


def _pq(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in units of SDR's white (SMPTE ST 2084)."""
    m1, m2 = 2610 / 16384, 2523 / 32
    c1, c2, c3 = 3424 / 4096, 2413 / 128, 2392 / 128
    root = values ** (1 / m2)
    light = (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return light * 10_000 / _SDR_WHITE_NITS


def _hlg(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scene light in [0, 1]."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)
