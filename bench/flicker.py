"""How much a matte flickers along the subject's edge, with the temporal filter and without.

    python bench/flicker.py [--model FILE.onnx] [--frames 30] [--seed 1]

A textured subject with a lobed, soft outline moves over a textured background, turning, with
camera noise; its matte is known exactly. On the edge (where the truth is soft, and 6 px around)
two means over all frames, in levels of 255:

    error    |alpha - truth|
    flicker  |error now - error of the previous frame, moved along with the subject|

An error that only moves with the edge does not flicker.
"""

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.matting.temporal import MattedFrame, mean_with_neighbours, neighbourhoods
from rmbg_service.models.predictor import Predictor
from rmbg_service.models.select import select_predictor
from rmbg_service.removal import passes, pipeline
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.passes import Prediction
from rmbg_service.settings import load_settings
from rmbg_service.types import Alpha, RgbImage

WIDTH, HEIGHT = 640, 360
SPEEDS_PX = (0, 3, 8, 16)
TURN = 0.01  # radians in each frame
NOISE = 4.0
EDGE_PX = 6
OPTIONS = RemovalOptions(detail="guided")


class Shot(NamedTuple):
    """A frame and its exact alpha."""

    rgb: RgbImage
    truth: Alpha


class Figures(NamedTuple):
    """Means along the edge, in levels of 255."""

    error: float
    flicker: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="u2netp")
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    predictor = select_predictor(load_settings(model=arguments.model))
    predictor.load()
    print("| speed | flicker without | with | | error without | with | |")
    print("|---|---|---|---|---|---|---|")
    for speed in SPEEDS_PX:
        shots = list(scene(speed, arguments.frames, arguments.seed))
        alphas = finish(shots, predict(shots, predictor))
        matted = [MattedFrame(s.rgb, a, 0) for s, a in zip(shots, alphas, strict=True)]
        plain = measure(shots, alphas, speed)
        means = [mean_with_neighbours(each).alpha for each in neighbourhoods(matted)]
        filtered = measure(shots, means, speed)
        cells = [f"{speed} px a frame"]
        for before, after in ((plain.flicker, filtered.flicker), (plain.error, filtered.error)):
            cells += [f"{before:.2f}", f"{after:.2f}", f"{after / before - 1:+.0%}"]
        print(f"| {' | '.join(cells)} |")


def place(number: int, speed_px: float) -> tuple[float, float, float]:
    """Centre of the subject in px, and its angle: it moves right and left across the middle."""
    room = WIDTH // 4
    way = (number * speed_px) % (4 * room)
    offset = way - room if way < 2 * room else 3 * room - way
    return WIDTH / 2 + offset, HEIGHT / 2, TURN * number


def motion(number: int, speed_px: float) -> NDArray[np.float64]:
    """From the pixels of a frame to those of the previous one, `(2, 3)`."""
    left, top, angle = place(number, speed_px)
    old_left, old_top, old_angle = place(number - 1, speed_px)
    cosine, sine = np.cos(old_angle - angle), np.sin(old_angle - angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    shift = np.array([old_left, old_top]) - turn @ np.array([left, top])
    return np.column_stack([turn, shift])


def scene(speed_px: float, frames: int, seed: int) -> Iterator[Shot]:
    """The frames of a subject that moves by `speed_px` in each; `seed` draws shape and textures."""
    rng = np.random.default_rng(seed)
    background = texture(rng, (HEIGHT, WIDTH), (90, 105, 120), 6)
    skin = texture(rng, (HEIGHT, HEIGHT), (190, 120, 70), 4)
    lobes = rng.integers(3, 8)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    for number in range(frames):
        left, top, turned_by = place(number, speed_px)
        angle = np.arctan2(y - top, x - left) - turned_by
        radius = np.hypot(x - left, y - top)
        outline = HEIGHT / 4 * (1 + 0.15 * np.cos(lobes * angle) + 0.03 * np.cos(23 * angle))
        truth = np.clip((outline - radius) / 3 + 0.5, 0, 1)
        turned = radius * np.cos(angle) + HEIGHT / 2, radius * np.sin(angle) + HEIGHT / 2
        worn = cv2.remap(skin, *turned, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        rgb = worn * truth[..., None] + background * (1 - truth[..., None])
        rgb += rng.normal(0, NOISE, rgb.shape)
        yield Shot(np.clip(rgb, 0, 255).astype(np.uint8), np.round(truth * 255).astype(np.uint8))


def texture(
    rng: np.random.Generator, size: tuple[int, int], mean: tuple[int, int, int], grain_px: float
) -> NDArray[np.float32]:
    noise = cv2.GaussianBlur(rng.normal(0, 1, (*size, 3)).astype(np.float32), (0, 0), grain_px)
    return np.asarray(noise / noise.std() * 25 + np.array(mean), np.float32)


def predict(shots: list[Shot], predictor: Predictor) -> list[Prediction]:
    """Every frame in one view, the matte brought to full size by the guided filter."""
    return [passes.predict(source(shot), predictor, OPTIONS) for shot in shots]


def finish(shots: list[Shot], predictions: list[Prediction]) -> list[Alpha]:
    """The alpha at full size, as the service makes it."""
    return [
        pipeline.full_size_alpha(source(shot), prediction, OPTIONS)
        for shot, prediction in zip(shots, predictions, strict=True)
    ]


def source(shot: Shot) -> SourceImage:
    return SourceImage(ImageInfo("video", WIDTH, HEIGHT), shot.rgb)


def measure(shots: list[Shot], alphas: list[Alpha], speed_px: float) -> Figures:
    errors = [
        alpha.astype(np.float32) - shot.truth for shot, alpha in zip(shots, alphas, strict=True)
    ]
    flicker, error = [], []
    for number in range(1, len(shots)):
        band = edge(shots[number].truth)
        last = cv2.warpAffine(
            errors[number - 1],
            motion(number, speed_px),
            (WIDTH, HEIGHT),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        error.append(np.abs(errors[number][band]).mean())
        flicker.append(np.abs(errors[number] - last)[band].mean())
    return Figures(float(np.mean(error)), float(np.mean(flicker)))


def edge(truth: Alpha) -> NDArray[np.bool_]:
    soft = ((truth > 5) & (truth < 250)).astype(np.uint8)
    return cv2.dilate(soft, np.ones((2 * EDGE_PX + 1,) * 2, np.uint8)) > 0


if __name__ == "__main__":
    main()
