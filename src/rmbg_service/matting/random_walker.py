"""Random walker segmentation with priors: labels spread from seeds up to the edges of an image.

Grady, "Multilabel random walker image segmentation using prior models", CVPR 2005. The result
minimises the sum of `w (x_i - x_j)^2` over neighbours, where `w` is small between different
colours, and of `strength (x_i - prior_i)^2` over pixels, with `x` fixed at the seeds. Solved by
conjugate gradients with a diagonal preconditioner.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rmbg_service.types import BoolMask, Matte

CONTRAST = 2.0
"""How quickly a difference of colour, relative to the mean difference, separates neighbours."""

MIN_WEIGHT = 1e-3
MAX_STEPS = 200
CHANGE = 2e-3
"""Largest change of a value at which the solution is good enough."""


class Grid(NamedTuple):
    """Weights between neighbours: `across` `(h, w - 1)` and `down` `(h - 1, w)`, in (0, 1]."""

    across: Matte
    down: Matte


def grid_of(lab: NDArray[np.uint8]) -> Grid:
    """The weights of an image `(h, w, 3)` in CIELAB."""
    levels = lab.astype(np.float32)
    return Grid(_weights(levels[:, 1:] - levels[:, :-1]), _weights(levels[1:] - levels[:-1]))


def walk(grid: Grid, prior: Matte, strength: Matte, seeds: BoolMask, start: Matte) -> Matte:
    """The labels `(h, w)` in [0, 1] with the values of `start` at the `seeds`.

    `prior` `(h, w)` in [0, 1] is what a pixel is taken for on its own, and `strength` `(h, w)` how
    much that counts. `start` is also where the iteration begins.
    """
    diagonal = strength.astype(np.float32)
    diagonal[:, 1:] += grid.across
    diagonal[:, :-1] += grid.across
    diagonal[1:] += grid.down
    diagonal[:-1] += grid.down
    free = (~seeds).astype(np.float32)
    pull = (strength * prior).astype(np.float32)
    scale = free / diagonal
    labels = start.astype(np.float32)
    rest = free * (pull - _apply(grid, diagonal, labels))
    direction = scaled = scale * rest
    size = float(np.vdot(rest, scaled))
    for _ in range(MAX_STEPS):
        if size <= 0:
            break
        image = free * _apply(grid, diagonal, direction)
        step = size / float(np.vdot(direction, image))
        labels += step * direction
        rest -= step * image
        if step * float(np.abs(direction).max()) < CHANGE:
            break
        scaled = scale * rest
        size, before = float(np.vdot(rest, scaled)), size
        direction = scaled + (size / before) * direction
    return np.asarray(np.clip(labels, 0, 1), np.float32)


def _weights(differences: NDArray[np.float32]) -> Matte:
    squares = np.einsum("...c,...c", differences, differences)
    mean = float(squares.mean()) if squares.size else 0.0
    return np.asarray(np.exp(squares * (-CONTRAST / (mean + 1e-6))) + MIN_WEIGHT, np.float32)


def _apply(grid: Grid, diagonal: Matte, labels: Matte) -> Matte:
    result = diagonal * labels
    result[:, 1:] -= grid.across * labels[:, :-1]
    result[:, :-1] -= grid.across * labels[:, 1:]
    result[1:] -= grid.down * labels[:-1]
    result[:-1] -= grid.down * labels[1:]
    return result
