"""Smooth noise and the types the scenes share."""

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Size: TypeAlias = tuple[int, int]
"""`(height, width)` in px."""

Plane: TypeAlias = NDArray[np.float32]
"""`(H, W)` float32."""

Colours: TypeAlias = NDArray[np.float32]
"""`(H, W, 3)` float32 sRGB in [0, 1]."""

Colour: TypeAlias = NDArray[np.float32]
"""`(3,)` float32 sRGB in [0, 1]."""

Points: TypeAlias = NDArray[np.float32]
"""`(n, 2)` float32, x and y."""


def noise(rng: np.random.Generator, size: Size, cell: tuple[float, float]) -> Plane:
    """Normal noise of mean 0 and about unit spread, whose spots are `cell` px high and wide."""
    coarse = (max(2, round(size[0] / cell[0])), max(2, round(size[1] / cell[1])))
    grid = rng.standard_normal(coarse).astype(np.float32)
    return np.asarray(cv2.resize(grid, size[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def cloud(rng: np.random.Generator, size: Size, cell: float, octaves: int = 4) -> Plane:
    """Noise of several sizes, each half as large and half as strong as the one before."""
    total = np.zeros(size, np.float32)
    for octave in range(octaves):
        here = max(1.0, cell / 2**octave)
        total += noise(rng, size, (here, here)) / np.float32(2**octave)
    return total


def colour(rng: np.random.Generator, low: float, high: float, spread: float) -> Colour:
    """A colour whose brightness lies in [low, high], its channels apart by about `spread`."""
    level = rng.uniform(low, high) + spread * rng.uniform(-1, 1, 3)
    return np.clip(level, 0.02, 0.98).astype(np.float32)
