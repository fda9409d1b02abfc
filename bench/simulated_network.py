"""Is a selective refinement ever worse than plain interpolation? Measured on made-up scenes.

    python bench/simulated_network.py --scenes 28

The truth of each scene stands in for the matte of a network of 1024 px: it is squeezed to
1024 x 1024, then damaged in one way. The table has a row for each kind of damage and of subject:
the means of plain interpolation and of `selective`. Nothing here depends on the machine.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable

import cv2
import numpy as np

from rmbg_service.evaluation.edges import usable_edge
from rmbg_service.evaluation.measures import boundary_iou, mae
from rmbg_service.evaluation.scenes import make_scene
from rmbg_service.evaluation.scenes.subjects import SUBJECTS
from rmbg_service.matting.upsampling import Refinement, to_full_size
from rmbg_service.types import Matte

NETWORK_PX = 1024
SIZE = (960, 1280)
"""Of the scenes, `(height, width)`."""

REFINEMENTS: tuple[Refinement, ...] = ("plain", "selective")


def blurred(matte: Matte, sigma: float) -> Matte:
    return np.asarray(cv2.GaussianBlur(matte, (0, 0), sigma), np.float32)


def shifted(matte: Matte, px: int) -> Matte:
    return np.roll(matte, (px, px), axis=(0, 1))


def with_holes(matte: Matte) -> Matte:
    """Soft holes of 40 px in the subject, as a network makes where it is unsure."""
    rng = np.random.default_rng(1)
    holes = np.zeros_like(matte)
    inside = np.argwhere(matte > 0.9)
    for y, x in inside[rng.integers(len(inside), size=6)] if len(inside) else ():
        cv2.circle(holes, (int(x), int(y)), 20, 1.0, -1)
    return np.asarray(matte * (1 - 0.7 * blurred(holes, 6)), np.float32)


DAMAGES: dict[str, Callable[[Matte], Matte]] = {
    "squeezed": lambda matte: matte,
    "blurred, sigma 1": lambda matte: blurred(matte, 1),
    "blurred, sigma 2": lambda matte: blurred(matte, 2),
    "blurred, sigma 4": lambda matte: blurred(matte, 4),
    "shifted by 2 px, blurred": lambda matte: blurred(shifted(matte, 2), 1),
    "holes, blurred": lambda matte: blurred(with_holes(matte), 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare refinements of a simulated network.")
    parser.add_argument("--scenes", type=int, default=28)
    args = parser.parse_args()
    figures: dict[tuple[str, Refinement], list[tuple[float, float, float]]] = defaultdict(list)
    for index in range(args.scenes):
        scene = make_scene(index, size=SIZE)
        subject = next(tag for tag in scene.tags if tag in SUBJECTS)
        truth = scene.alpha * np.float32(1 / 255)
        squeezed = cv2.resize(truth, (NETWORK_PX, NETWORK_PX), interpolation=cv2.INTER_AREA)
        for damage, damaged in DAMAGES.items():
            matte = damaged(np.asarray(squeezed, np.float32))
            for refinement in REFINEMENTS:
                alpha = to_full_size(scene.rgb, matte, refinement) * np.float32(1 / 255)
                level = 0.1 if "translucent" in scene.tags else 0.5
                edge = usable_edge(alpha, truth, edge_level=level)
                measured = edge.uea, mae(alpha, truth), boundary_iou(alpha, truth)
                for group in (damage, f"subject: {subject}"):
                    figures[group, refinement].append(measured)
    print("| kind | n | refinement | UEA | MAE | boundary IoU |\n|---|---|---|---|---|---|")
    for (group, refinement), all_values in figures.items():
        uea, error, biou = np.nanmean(all_values, axis=0)
        print(
            f"| {group} | {len(all_values)} | {refinement} | {uea:.3f} | {error:.4f} | {biou:.3f} |"
        )


if __name__ == "__main__":
    main()
