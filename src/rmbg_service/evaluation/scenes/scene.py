"""One made-up scene: a subject on a floor, in light that is known."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rmbg_service.evaluation.scenes.brush import Anchor, Brush
from rmbg_service.evaluation.scenes.grounds import BACKDROPS, FLOORS, View, backdrop, floor
from rmbg_service.evaluation.scenes.noise import Colour, Colours, Plane, Size, colour
from rmbg_service.evaluation.scenes.shadows import Sun, attenuation
from rmbg_service.evaluation.scenes.subjects import SUBJECTS
from rmbg_service.imaging.light import to_encoded, to_linear

SIZE: Size = (480, 640)

LIGHTS = ("hard", "soft", "none", "contact", "decoy")
"""Sharp sun, soft lamp, no shadow at all, a dark sky, no shadow but dark things beside."""

LOW_CONTRAST_EVERY = 4


@dataclass(frozen=True)
class Scene:
    """An image and its whole truth.

    `rgb` `(H, W, 3)` is uint8 sRGB; `alpha` `(H, W)` uint8 the subject's own, for compositing in
    sRGB. `shadow` `(H, W)` uint8 is the alpha of a black layer that, put over the lit background in
    sRGB, gives the shaded one (mean of the channels), 0 where the subject hides it; None in a scene
    without shadow.
    """

    id: str
    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    shadow: NDArray[np.uint8] | None
    tags: tuple[str, ...]


def make_scenes(count: int, seed: int = 0) -> Iterator[Scene]:
    """The first `count` scenes; floors, subjects and lights change at every step."""
    return (make_scene(index, seed) for index in range(count))


def make_scene(index: int, seed: int = 0, size: Size = SIZE) -> Scene:
    """Scene number `index`, always the same for the same arguments; `size` is `(height, width)`.

    7 floors, 6 subjects and 5 lights take turns, so any 7 scenes in a row show every kind of each,
    and 210 every combination.
    """
    rng = np.random.default_rng((seed, index))
    ground = list(FLOORS)[index % len(FLOORS)]
    subject = list(SUBJECTS)[index % len(SUBJECTS)]
    light = LIGHTS[index % len(LIGHTS)]
    behind = BACKDROPS[rng.integers(len(BACKDROPS))]
    kind = SUBJECTS[subject]
    tags = [*kind.tags, ground, subject]

    horizon = size[0] * (rng.uniform(0.35, 0.6) if behind != "none" else rng.uniform(-0.8, -0.3))
    lit = _background(rng, ground, behind, size, horizon)
    anchor = _anchor(rng, kind.width, size, behind != "none")
    sun = _sun(rng, light)
    low_contrast = index % LOW_CONTRAST_EVERY == 3
    tint = _near(rng, lit, anchor) if low_contrast else colour(rng, 0.1, 0.9, 0.25)
    brush = Brush(size, anchor, -np.sign(sun.along), rng)
    kind.draw(brush, tint)
    subject_rgb, alpha = brush.result()

    if light == "decoy":
        _dark_things(rng, lit, anchor)
    left = attenuation(alpha, anchor.y, horizon, sun)
    shaded = to_encoded(to_linear(lit) * left)
    image = alpha[..., None] * subject_rgb + (1 - alpha[..., None]) * shaded
    image += rng.normal(0, rng.uniform(0.001, 0.008), image.shape)

    shadow = None
    if light not in ("none", "decoy"):
        ratio = 1 - (shaded / np.maximum(lit, 1e-3)).mean(axis=2)
        shadow = _levels(np.where(alpha < 1, ratio, 0))
        tags.append("shadow")
    tags += [light] if light != "none" else ["no-shadow"]
    tags += ["low-contrast"] if low_contrast else []
    tags += ["complex-background"] if behind == "busy" else [behind] if behind != "none" else []
    name = f"{ground}-{subject}-{light}-{index:04d}"
    return Scene(name, _levels(image), _levels(alpha), shadow, tuple(tags))


def _background(
    rng: np.random.Generator, ground: str, behind: str, size: Size, horizon: float
) -> Colours:
    lit = floor(ground, rng, View(size, horizon))
    if behind != "none":
        edge = round(horizon)
        lit[:edge] = backdrop(behind, rng, size, horizon)[:edge]
        lit[edge : edge + max(2, size[0] // 120)] *= 0.8
    return np.clip(lit, 0.02, 1)


def _anchor(rng: np.random.Generator, width: float, size: Size, walled: bool) -> Anchor:
    tallest = min(0.72 * size[0], 0.62 * size[1] / width)
    height = tallest * rng.uniform(0.65, 1.0)
    low, high = (0.84, 0.93) if walled else (0.8, 0.92)
    x = size[1] * rng.uniform(0.42, 0.58)
    return Anchor(x, max(height + 8, size[0] * rng.uniform(low, high)), height)


def _sun(rng: np.random.Generator, light: str) -> Sun:
    along = rng.choice([-1, 1]) * rng.uniform(0.25, 0.9)
    away = rng.uniform(0.12, 0.4)
    if light in ("none", "decoy"):
        return Sun(along, away, 0, (0, 0, 0), 0)
    if light == "contact":
        return Sun(along, away, 0, (0, 0, 0), rng.uniform(0.3, 0.65))
    warm = rng.uniform(0, 0.07)
    strong = rng.uniform(0.35, 0.75)
    softness = rng.uniform(0.002, 0.015) if light == "hard" else rng.uniform(0.05, 0.15)
    strength = (min(strong + warm, 0.9), strong, strong - warm)
    return Sun(along, away, softness, strength, rng.uniform(0.2, 0.5))


def _near(rng: np.random.Generator, lit: Colours, anchor: Anchor) -> Colour:
    """A colour close to what is behind the subject."""
    row = int(np.clip(anchor.y - 0.5 * anchor.height, 0, lit.shape[0] - 1))
    behind = lit[row, int(anchor.x)]
    near = behind * rng.uniform(0.85, 1.1) + rng.normal(0, 0.02, 3)
    return np.asarray(np.clip(near, 0.02, 1), np.float32)


def _dark_things(rng: np.random.Generator, lit: Colours, anchor: Anchor) -> None:
    """Mats, cables and stains beside the subject, or partly under it."""
    for _ in range(rng.integers(1, 4)):
        layer = np.zeros(lit.shape[:2], np.uint8)
        x = int(anchor.x + rng.choice([-1, 1]) * rng.uniform(0.05, 0.6) * lit.shape[1] * 0.6)
        y = int(anchor.y - rng.uniform(-0.05, 0.12) * anchor.height)
        reach = int(rng.uniform(0.08, 0.3) * anchor.height)
        match rng.integers(3):
            case 0:
                low, shift = y + reach // 2, reach // 2
                mat = [[x, y], [x + 2 * reach, y], [x + 2 * reach + shift, low], [x + shift, low]]
                cv2.fillPoly(layer, [np.array(mat, np.int32)], 255, cv2.LINE_AA)
            case 1:
                cv2.ellipse(layer, (x, y), (reach, reach // 3), 0, 0, 360, 255, -1, cv2.LINE_AA)
            case _:
                end = (x + int(rng.integers(-3, 4)) * reach, y + reach // 2)
                cv2.line(layer, (x, y), end, 255, max(2, reach // 10), cv2.LINE_AA)
        share = layer.astype(np.float32)[..., None] / 255
        lit += share * (colour(rng, 0.05, 0.35, 0.15) - lit)


def _levels(values: Plane | Colours) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.rint(values * 255), 0, 255), np.uint8)
