"""What the subject stands on and in front of, fully lit: floors and backdrops.

The floor is a plane that recedes to a horizon; where the horizon is above the image the floor
fills it all. Everything is drawn at twice the size and averaged, so that far tiles do not alias.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from rmbg_service.evaluation.scenes.noise import Colours, Plane, Size, cloud, colour, noise


class View(NamedTuple):
    """A floor seen at an angle: `horizon` is the row, in px, where it ends in the distance."""

    size: Size
    horizon: float

    def ground(self) -> tuple[Plane, Plane]:
        """Coordinates on the floor of every pixel, `(across, away)`; 1 is about its width."""
        height, width = self.size
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        below = np.maximum(y - self.horizon, 1.0)
        depth = (height - self.horizon) / below
        across = (x / width - 0.5) * depth
        return across.astype(np.float32), (depth * height / width).astype(np.float32)


Painter = Callable[[np.random.Generator, View], Colours]


def floor(kind: str, rng: np.random.Generator, view: View) -> Colours:
    """The lit floor of one kind of `FLOORS`, over the whole image."""
    height, width = view.size
    doubled = View((2 * height, 2 * width), 2 * view.horizon)
    large = np.clip(FLOORS[kind](rng, doubled), 0, 1)
    return np.asarray(cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA))


def _plain(rng: np.random.Generator, view: View, low: float = 0.45, high: float = 0.92) -> Colours:
    return np.full((*view.size, 3), colour(rng, low, high, 0.05))


def _slope(rng: np.random.Generator, size: Size, strength: float) -> Plane:
    """A light that falls off to one side: around 1, `(H, W)`."""
    y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
    turn = rng.uniform(0, 2 * np.pi)
    ramp = np.cos(turn) * x + np.sin(turn) * y
    bowl = rng.uniform(-0.3, 0.3) * (x**2 + y**2)
    return np.asarray(1 + strength * (ramp - bowl), np.float32)


def _smooth(rng: np.random.Generator, view: View) -> Colours:
    return _plain(rng, view) * _slope(rng, view.size, 0.03)[..., None]


def _gradient(rng: np.random.Generator, view: View) -> Colours:
    return _plain(rng, view, 0.5, 0.8) * _slope(rng, view.size, rng.uniform(0.1, 0.22))[..., None]


def _noisy(rng: np.random.Generator, view: View) -> Colours:
    grain = cloud(rng, view.size, rng.uniform(6, 14), 3) * rng.uniform(0.015, 0.04)
    return _plain(rng, view) * (1 + grain[..., None])


def _concrete(rng: np.random.Generator, view: View) -> Colours:
    base = colour(rng, 0.45, 0.7, 0.02)
    spots = 0.05 * cloud(rng, view.size, view.size[1] / 6, 5)
    pores = 0.03 * noise(rng, view.size, (3, 3))
    return np.asarray(base * (1 + spots + pores)[..., None], np.float32)


def _sweep(rng: np.random.Generator, view: View) -> Colours:
    height = view.size[0]
    bright = np.linspace(1, rng.uniform(0.9, 0.97), height, dtype=np.float32)
    return np.float32(rng.uniform(0.92, 0.985)) * np.repeat(
        np.repeat(bright[:, None, None], view.size[1], axis=1), 3, axis=2
    )


def _tiled(rng: np.random.Generator, view: View) -> Colours:
    across, away = view.ground()
    side = rng.uniform(0.12, 0.25)
    u, v = across / side + rng.uniform(0, 1), away / side
    column, row = np.floor(u).astype(int), np.floor(v).astype(int)
    shades = rng.normal(1, 0.04, (64, 64)).astype(np.float32)
    base = colour(rng, 0.5, 0.85, 0.04) * shades[row % 64, column % 64][..., None]
    grout = np.minimum(np.minimum(u - column, 1 - u + column), np.minimum(v - row, 1 - v + row))
    line = np.clip(1.5 - grout / 0.02, 0, 1)[..., None]
    return np.asarray(base * (1 - rng.uniform(0.15, 0.4) * line), np.float32)


def _wooden(rng: np.random.Generator, view: View) -> Colours:
    across, away = view.ground()
    board = rng.uniform(0.08, 0.16)
    u = across / board + rng.uniform(0, 1)
    column = np.floor(u).astype(int)
    shades = rng.normal(1, 0.08, 64).astype(np.float32)[column % 64]
    offsets = rng.uniform(0, 1, 64).astype(np.float32)[column % 64]
    grain = cloud(rng, (512, 512), 24, 4)
    lookup = (
        ((u * 40 + offsets * 300) % 511).astype(np.float32),
        ((away * 60 + offsets * 500) % 511).astype(np.float32),
    )
    veins = np.asarray(cv2.remap(grain, *lookup, cv2.INTER_LINEAR), np.float32)
    seam = np.clip(1.5 - np.minimum(u - column, 1 - u + column) / 0.03, 0, 1)
    level = rng.uniform(0.4, 0.7)
    wood = np.array([level * 1.1, level * 0.82, level * 0.58], np.float32)
    tone = shades * (1 + 0.07 * veins) * (1 - 0.45 * seam)
    return np.asarray(wood * tone[..., None], np.float32)


FLOORS: dict[str, Painter] = {
    "smooth": _smooth,
    "gradient": _gradient,
    "noisy": _noisy,
    "tiled": _tiled,
    "wood": _wooden,
    "concrete": _concrete,
    "sweep": _sweep,
}

BACKDROPS = ("none", "two-tone", "busy", "none", "plain")
"""`none`: the floor fills the image."""


def backdrop(kind: str, rng: np.random.Generator, size: Size, horizon: float) -> Colours:
    """The lit wall of one kind of `BACKDROPS`, over the whole image."""
    wall = np.full((*size, 3), colour(rng, 0.35, 0.9, 0.1))
    wall = wall * _slope(rng, size, 0.06)[..., None]
    if kind == "two-tone":
        edge = round(horizon * rng.uniform(0.3, 0.75))
        wall[edge:] = colour(rng, 0.3, 0.85, 0.1)
        wall[edge : edge + max(2, size[0] // 150)] *= 0.85
    elif kind == "busy":
        _clutter(rng, wall, horizon)
    return np.asarray(np.clip(wall, 0, 1), np.float32)


def _clutter(rng: np.random.Generator, wall: Colours, horizon: float) -> None:
    """Books, frames and lamps: boxes, discs and lines of any colour, out of focus or not."""
    height, width = wall.shape[:2]
    for _ in range(60):
        tint = tuple(float(c) for c in colour(rng, 0.1, 0.9, 0.25))
        x, y = int(rng.uniform(0, width)), int(rng.uniform(0, max(horizon, 1)))
        reach = int(rng.uniform(0.02, 0.15) * height)
        match rng.integers(3):
            case 0:
                cv2.rectangle(wall, (x, y), (x + reach // 2, y + reach), tint, -1, cv2.LINE_AA)
            case 1:
                cv2.circle(wall, (x, y), reach // 2, tint, -1, cv2.LINE_AA)
            case _:
                cv2.line(wall, (x, y), (x + reach, y + reach // 3), tint, 3, cv2.LINE_AA)
    blur = rng.choice([0.0, 2.0, 6.0])
    if blur:
        wall[:] = cv2.GaussianBlur(wall, (0, 0), blur)
