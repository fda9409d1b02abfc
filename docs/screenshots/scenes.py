"""Still lifes for the screenshots: drawn here, so that no photo of anybody's is needed."""

import math
import random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 1600, 1200
Colour = tuple[int, int, int]
_FINE = 2  # subjects are drawn larger and shrunk, for soft edges


def plant() -> Image.Image:
    """A fern in a clay pot."""
    layer, draw = _layer()
    luck = random.Random(4)
    for number in range(17):
        angle = -math.pi * (0.06 + 0.88 * (number * 7 % 17) / 16)
        base = (0.5 + luck.uniform(-0.03, 0.03)) * WIDTH * _FINE, 0.56 * HEIGHT * _FINE
        light = luck.randint(-16, 18)
        _leaf(draw, base, angle, luck.uniform(0.3, 0.44) * HEIGHT * _FINE, light)
    _turned(layer, [(0.55, 0.135), (0.885, 0.098)], (214, 108, 74))
    _turned(layer, [(0.515, 0.15), (0.585, 0.15)], (224, 114, 78))
    return _on_table(layer, 0.885, 0.12)


def mug() -> Image.Image:
    """A blue mug with a handle."""
    layer, draw = _layer()
    ring = [value * _FINE for value in (0.58 * WIDTH, 0.47 * HEIGHT, 0.72 * WIDTH, 0.73 * HEIGHT)]
    draw.ellipse(ring, outline=(34, 78, 124, 255), width=int(WIDTH * _FINE * 0.024))
    _turned(layer, [(0.36, 0.17), (0.42, 0.167), (0.8, 0.15), (0.86, 0.125)], (62, 128, 190))
    rim = [value * _FINE for value in (0.33 * WIDTH, 0.34 * HEIGHT, 0.67 * WIDTH, 0.39 * HEIGHT)]
    draw.ellipse(rim, fill=(148, 190, 226, 255))
    inner = [
        value * _FINE for value in (0.345 * WIDTH, 0.347 * HEIGHT, 0.655 * WIDTH, 0.388 * HEIGHT)
    ]
    draw.ellipse(inner, fill=(66, 42, 28, 255))
    return _on_table(layer, 0.862, 0.14)


def vase() -> Image.Image:
    """A yellow vase with twigs."""
    layer, draw = _layer()
    luck = random.Random(9)
    for _ in range(9):
        lean = luck.uniform(-0.55, 0.55)
        foot, height = (0.5 * WIDTH * _FINE, 0.4 * HEIGHT * _FINE), luck.uniform(0.2, 0.34)
        path = [
            (
                foot[0] + lean * t * t * 0.36 * HEIGHT * _FINE,
                foot[1] - t * height * HEIGHT * _FINE,
            )
            for t in np.linspace(0, 1, 24)
        ]
        draw.line(path, fill=(94, 72, 48, 255), width=int(WIDTH * _FINE * 0.0032), joint="curve")
        for x, y in path[7::2]:
            size = luck.uniform(0.0065, 0.0105) * WIDTH * _FINE
            x += luck.uniform(-1.2, 1.2) * size
            tint = luck.randint(-14, 14)
            draw.ellipse(
                (x - size, y - size, x + size, y + size),
                fill=(232 + tint, 198 + tint, 186 + tint, 255),
            )
    profile = [
        (0.38, 0.05),
        (0.42, 0.045),
        (0.52, 0.085),
        (0.66, 0.125),
        (0.78, 0.118),
        (0.885, 0.07),
    ]
    _turned(layer, profile, (226, 172, 62))
    return _on_table(layer, 0.885, 0.09)


def _layer() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    layer = Image.new("RGBA", (WIDTH * _FINE, HEIGHT * _FINE))
    return layer, ImageDraw.Draw(layer)


def _turned(layer: Image.Image, profile: list[tuple[float, float]], colour: Colour) -> None:
    """A body of revolution, lit from the left: (height, half its width) from top to bottom."""
    width, height = layer.size
    rows = np.arange(int(profile[0][0] * height), int(profile[-1][0] * height))
    heights, halves = zip(*profile, strict=True)
    half = _smooth(np.interp(rows / height, heights, halves)) * width
    across = (np.arange(width) - width / 2)[None, :] / half[:, None]
    shade = 0.6 + 0.5 * np.exp(-(((across + 0.4) / 0.55) ** 2)) - 0.14 * np.clip(across, 0, 1)
    rgb = np.clip(np.array(colour) * shade[..., None], 0, 255)
    alpha = np.where(np.abs(across) <= 1, 255, 0)[..., None]
    body = Image.fromarray(np.concatenate([rgb, alpha], -1).astype(np.uint8))
    layer.alpha_composite(body, (0, int(rows[0])))


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    size = max(len(values) // 8, 1)
    padded = np.pad(values, size, mode="edge")
    return np.convolve(padded, np.ones(2 * size + 1) / (2 * size + 1), mode="valid")


def _leaf(
    draw: ImageDraw.ImageDraw, base: tuple[float, float], angle: float, length: float, light: int
) -> None:
    steps = np.linspace(0, 1, 41)
    bend = angle + 0.5 * steps * (1 if math.cos(angle) > 0 else -1)
    middle = np.stack(
        [base[0] + length * steps * np.cos(bend), base[1] + length * steps * np.sin(bend)], -1
    )
    half = (0.026 * WIDTH * _FINE * np.sin(math.pi * steps**0.8))[:, None]
    side = np.stack([-np.sin(bend), np.cos(bend)], -1) * half
    outline = np.concatenate([middle + side, (middle - side)[::-1]])
    colour = (44 + light, 112 + light, 72 + light // 2)
    draw.polygon([tuple(point) for point in outline], fill=(*colour, 255))
    vein = tuple(value + 34 for value in colour)
    draw.line([tuple(point) for point in middle[3:-2]], fill=(*vein, 255), width=7)


def _on_table(layer: Image.Image, foot: float, half_width: float) -> Image.Image:
    """The subject on a wooden table before a wall, with a soft shadow and the grain of a sensor."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    glow = np.exp(-(((x / WIDTH - 0.32) / 0.55) ** 2 + ((y / HEIGHT - 0.2) / 0.6) ** 2))[..., None]
    wall = np.array([203, 196, 187]) * (1 - glow) + np.array([238, 233, 225]) * glow
    lit = 0.82 + 0.25 * np.exp(-((x / WIDTH - 0.4) ** 2) / 0.25)
    wood = np.sin(y * 0.35 + np.sin(x * 0.006) * 3) + np.sin(y * 0.11 + x * 0.002)
    table = np.array([150, 112, 80]) * lit[..., None] + 4 * wood[..., None]
    edge = np.clip((y - HEIGHT * 0.7) / 6, 0, 1)[..., None]
    scene = wall * (1 - edge) + table * edge
    spot = (x / WIDTH - 0.5 - half_width * 0.7) / (half_width * 1.9), (y / HEIGHT - foot) / 0.045
    shadow = Image.fromarray((170 * (spot[0] ** 2 + spot[1] ** 2 < 1)).astype(np.uint8))
    soft = np.asarray(shadow.filter(ImageFilter.GaussianBlur(24)), np.float32)[..., None] / 255
    scene = scene * (1 - soft) + np.array([52, 34, 22]) * soft
    picture = Image.fromarray(np.clip(scene, 0, 255).astype(np.uint8))
    subject = layer.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    picture.paste(subject, (0, 0), subject)
    grain = np.random.default_rng(1).normal(0, 2.2, (HEIGHT, WIDTH, 1))
    return Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8))
