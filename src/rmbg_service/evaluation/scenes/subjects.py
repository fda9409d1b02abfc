"""The subjects: made of rounded parts, each with what makes a cutout hard in its own way."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rmbg_service.evaluation.scenes.brush import Brush
from rmbg_service.evaluation.scenes.noise import Colour, colour


class Kind(NamedTuple):
    """How a subject is drawn, how wide it is for its height, and its tags."""

    draw: Callable[[Brush, Colour], None]
    width: float
    tags: tuple[str, ...]


def _person(brush: Brush, coat: Colour) -> None:
    rng = brush.rng
    skin = np.array([0.85, 0.65, 0.53], np.float32) * np.float32(rng.uniform(0.5, 1.1))
    trousers, shoes = colour(rng, 0.1, 0.5, 0.1), colour(rng, 0.05, 0.4, 0.1)
    hair = colour(rng, 0.08, 0.45, 0.06)
    step = rng.uniform(0.05, 0.11)
    for side in (-1, 1):
        foot = side * step
        brush.line([(side * 0.05, 0.5), (foot, 0.27), (foot, 0.05)], 0.085, trousers)
        brush.ellipse((foot + 0.025 * side, 0.022), (0.055, 0.024), shoes)
        brush.line([(side * 0.11, 0.78), (side * 0.17, 0.6), (side * 0.15, 0.46)], 0.055, coat)
        brush.ellipse((side * 0.15, 0.44), (0.025, 0.03), skin)
    outline = [(-0.1, 0.46), (0.1, 0.46), (0.12, 0.72), (0.1, 0.8), (-0.1, 0.8), (-0.12, 0.72)]
    brush.polygon(outline, coat)
    brush.line([(0, 0.8), (0, 0.85)], 0.05, skin)
    brush.ellipse((0, 0.945), (0.06, 0.055), hair, texture=0.2)
    brush.ellipse((0, 0.915), (0.048, 0.062), skin)
    brush.strands([_strand(rng, 0.0, 0.945, 0.055, 0.075) for _ in range(240)], hair)


def _strand(
    rng: np.random.Generator, x: float, y: float, radius: float, length: float
) -> list[tuple[float, float]]:
    """A hair that grows out of the upper half of a disc and bends down a little."""
    angle = rng.uniform(-0.15, np.pi + 0.15)
    reach = radius + length * rng.uniform(0.1, 1) ** 2
    bend = rng.normal(0, 0.25)
    return [
        (x + r * np.cos(angle + bend * t), y + r * np.sin(angle + bend * t) - 0.03 * t**2)
        for t in (0.0, 0.35, 0.7, 1.0)
        for r in (radius * 0.9 + t * (reach - radius * 0.9),)
    ]


def _animal(brush: Brush, fur: Colour) -> None:
    rng = brush.rng
    face = rng.choice([-1.0, 1.0])
    for x, shade in ((-0.27, 0.8), (0.2, 0.8), (-0.34, 1.0), (0.3, 1.0)):
        tint = fur * np.float32(shade)
        lift = 0.035 if shade < 1 else 0.0
        brush.line([(x, 0.5), (x + 0.02, 0.25), (x, 0.05 + lift)], 0.075, tint, texture=0.15)
        brush.ellipse((x + 0.015 * face, 0.03 + lift), (0.05, 0.03), tint)
    brush.ellipse((0, 0.56), (0.43, 0.18), fur, texture=0.2)
    brush.line([(0.33 * face, 0.62), (0.46 * face, 0.8)], 0.17, fur, texture=0.2)
    brush.ellipse((0.52 * face, 0.85), (0.15, 0.105), fur, texture=0.2)
    brush.polygon([(0.42 * face, 0.92), (0.5 * face, 0.92), (0.44 * face, 1.0)], fur * 0.7)
    brush.ellipse((0.66 * face, 0.84), (0.022, 0.02), np.full(3, 0.05, np.float32))
    tail = [(-0.4 * face, 0.62), (-0.55 * face, 0.72), (-0.6 * face, 0.85)]
    brush.line(tail, 0.045, fur, texture=0.2)
    hairs = []
    for _ in range(420):
        angle = rng.uniform(0, 2 * np.pi)
        x, y = 0.43 * np.cos(angle), 0.56 + 0.18 * np.sin(angle)
        out = rng.uniform(0.01, 0.05)
        lean = angle + rng.normal(0, 0.5)
        hairs.append(
            [
                (x * 0.97, 0.56 + (y - 0.56) * 0.97),
                (x + out * np.cos(lean), y + out * np.sin(lean) - 0.01),
            ]
        )
    brush.strands(hairs, fur)


def _mug(brush: Brush, glaze: Colour) -> None:
    side = brush.rng.choice([-1.0, 1.0])
    turn = np.linspace(-1.3, 1.3, 30)
    handle = [(side * (0.36 + 0.24 * np.cos(t)), 0.52 + 0.27 * np.sin(t)) for t in turn.tolist()]
    brush.line(handle, 0.075, glaze)
    body = [(0.4 * np.cos(t), 0.09 + 0.08 * np.sin(t)) for t in np.linspace(np.pi, 2 * np.pi, 40)]
    brush.polygon([(-0.42, 0.92), *body, (0.42, 0.92)], glaze, texture=0.02)
    brush.ellipse((0, 0.92), (0.42, 0.08), glaze * np.float32(0.95), flat=0.6)
    brush.ellipse((0, 0.91), (0.37, 0.06), np.array([0.2, 0.12, 0.07], np.float32), flat=0.8)


def _chair(brush: Brush, wood: Colour) -> None:
    dark = wood * np.float32(0.75)
    for x in (-0.2, 0.24):
        brush.line([(x, 0.45), (x, 0.09)], 0.035, dark)
    for x in (-0.2, 0.24):
        brush.line([(x, 1.0), (x, 0.45)], 0.04, wood)
    for y in (0.95, 0.82, 0.69):
        brush.line([(-0.2, y), (0.24, y)], 0.045, wood)
    for x in (-0.08, 0.02, 0.12):
        brush.line([(x, 0.93), (x, 0.48)], 0.02, dark)
    brush.polygon([(-0.22, 0.5), (0.26, 0.5), (0.24, 0.42), (-0.3, 0.42)], wood, flat=0.5)
    brush.polygon([(-0.3, 0.425), (0.24, 0.425), (0.24, 0.39), (-0.3, 0.39)], dark, flat=0.5)
    for x in (-0.28, 0.21):
        brush.line([(x, 0.4), (x, 0.02)], 0.042, wood)


def _glass(brush: Brush, tint: Colour) -> None:
    rng = brush.rng
    opacity = rng.uniform(0.2, 0.5)
    outline = [(-0.17, 0.03), (0.17, 0.03), (0.19, 0.1), (0.19, 0.58), (0.16, 0.68), (0.06, 0.8)]
    outline += [(0.06, 0.93), (-0.06, 0.93), (-0.06, 0.8), (-0.16, 0.68), (-0.19, 0.58)]
    outline += [(-0.19, 0.1)]
    brush.polygon(outline, tint, opacity=opacity, flat=0.4, texture=0.02)
    brush.line([*outline, outline[0]], 0.018, tint * np.float32(0.6), opacity=0.6)
    brush.polygon([(-0.165, 0.045), (0.165, 0.045), (0.175, 0.4), (-0.175, 0.4)], tint, opacity=0.5)
    brush.polygon(
        [(-0.13, 0.12), (-0.1, 0.12), (-0.1, 0.6), (-0.13, 0.6)],
        np.full(3, 0.97, np.float32),
        opacity=0.6,
        flat=1.0,
    )
    brush.polygon(
        [(-0.07, 0.91), (0.07, 0.91), (0.07, 1.0), (-0.07, 1.0)], colour(rng, 0.1, 0.6, 0.2)
    )


def _plant(brush: Brush, leaf: Colour) -> None:
    rng = brush.rng
    green = np.array([0.2, 0.45, 0.15], np.float32) * np.float32(rng.uniform(0.7, 1.4))
    leaf = np.asarray(0.6 * green + 0.4 * leaf, np.float32)
    for _ in range(16):
        lean, top = rng.uniform(-0.38, 0.38), rng.uniform(0.6, 0.98)
        stem = [(0.15 * lean, 0.3), (0.5 * lean, 0.3 + 0.5 * (top - 0.3)), (lean, top)]
        brush.line(stem, 0.008, leaf * np.float32(0.8))
        for t in (0.5, 0.75, 1.0):
            x, y = t * lean, 0.3 + t * (top - 0.3)
            turn, reach, wide = rng.uniform(0, 2 * np.pi), rng.uniform(0.06, 0.13), 0.3
            tip = (x + reach * np.cos(turn), y + 0.6 * reach * np.sin(turn))
            middle = ((x + tip[0]) / 2, (y + tip[1]) / 2)
            dx, dy = wide * (tip[1] - y), -wide * (tip[0] - x)
            sides = (middle[0] + dx, middle[1] + dy), (middle[0] - dx, middle[1] - dy)
            brush.polygon(
                [(x, y), sides[0], tip, sides[1]], leaf * np.float32(rng.uniform(0.7, 1.2))
            )
    rim = [(0.13 * np.cos(t), 0.04 + 0.035 * np.sin(t)) for t in np.linspace(np.pi, 2 * np.pi, 30)]
    brush.polygon([(-0.18, 0.32), *rim, (0.18, 0.32)], colour(rng, 0.3, 0.75, 0.15))
    brush.ellipse((0, 0.32), (0.18, 0.035), np.array([0.2, 0.15, 0.1], np.float32), flat=0.7)


SUBJECTS = {
    "person": Kind(_person, 0.5, ("portrait", "hair")),
    "mug": Kind(_mug, 1.1, ("product", "holes")),
    "animal": Kind(_animal, 1.4, ("animal", "hair")),
    "chair": Kind(_chair, 0.6, ("product", "holes", "thin")),
    "glass": Kind(_glass, 0.4, ("product", "translucent")),
    "plant": Kind(_plant, 0.8, ("product", "thin", "holes")),
}
