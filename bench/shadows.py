"""Measure `shadow=keep` on synthetic scenes with exact truth, and on photos with shadow masks.

    python bench/shadows.py scenes [--count 210] [--seed 0]
    python bench/shadows.py photos DATASET [--sheet FOLDER]
    python bench/shadows.py time

Scenes are measured with their true matte and with the embedded model's. MAE is over the pixels that
the subject leaves free; MAE there over those of them where the truth or the estimate is a shadow.
`--sheet` writes a picture for each photo: the original, the cutout on white without and with its
shadow, and with it on blue. `time` is CPU time on one thread.
"""

import argparse
import math
import time
from collections import Counter, defaultdict
from pathlib import Path
from statistics import fmean, median

import cv2
import numpy as np

from rmbg_service.evaluation.dataset import Sample, load_matte, load_rgb, read_dataset
from rmbg_service.evaluation.edges import usable_edge
from rmbg_service.evaluation.measures import shadow_leak
from rmbg_service.evaluation.scenes import Scene, make_scene, make_scenes
from rmbg_service.evaluation.scenes.grounds import FLOORS
from rmbg_service.imaging import compose
from rmbg_service.imaging.cutout import Cutout, Shadow
from rmbg_service.matting.arrays import UNIT
from rmbg_service.matting.foreground import estimate_foreground
from rmbg_service.models.predictor import Predictor
from rmbg_service.models.select import select_predictor
from rmbg_service.removal.remove import remove_background
from rmbg_service.settings import Settings
from rmbg_service.shadows.cast import keep_shadow
from rmbg_service.types import Alpha, Colour, Matte, RgbImage

FREE = 26
DENSE = 0.1
BLUE = Colour(90, 140, 230)
SHEET_WIDTH_PX = 480


def embedded() -> Predictor:
    predictor = select_predictor(Settings(model="u2netp"))
    predictor.load()
    return predictor


def predicted(rgb: RgbImage, predictor: Predictor) -> Alpha:
    return remove_background(rgb, predictor=predictor, decontaminate=False).alpha


def mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return fmean(known) if known else math.nan


def layer(shadow: Shadow, shape: tuple[int, ...]) -> Matte:
    return np.zeros(shape, np.float32) if shadow.alpha is None else shadow.alpha * UNIT


def errors(scene: Scene, shadow: Shadow) -> dict[str, float]:
    assert scene.shadow is not None
    free = scene.alpha < FREE
    seen, true = layer(shadow, scene.alpha.shape)[free], (scene.shadow * UNIT)[free]
    wrong = np.abs(seen - true)
    both = int(np.count_nonzero((seen > DENSE) & (true > DENSE)))
    shaded, claimed = int(np.count_nonzero(true > DENSE)), int(np.count_nonzero(seen > DENSE))
    somewhere = (seen > 0.02) | (true > 0.02)
    return {
        "MAE": float(wrong.mean()),
        "MAE there": float(wrong[somewhere].mean()) if somewhere.any() else math.nan,
        "precision": both / claimed if claimed else math.nan,
        "recall": both / shaded if shaded else math.nan,
        "refused": float(not shadow.found),
    }


def measure_scenes(count: int, seed: int) -> None:
    predictor = embedded()
    rows: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    false: dict[tuple[str, str], list[bool]] = defaultdict(list)
    reasons: Counter[str] = Counter()
    for scene in make_scenes(count, seed):
        floor, _, light, _ = scene.id.split("-")
        for matte, alpha in ("true", scene.alpha), ("u2netp", predicted(scene.rgb, predictor)):
            shadow = keep_shadow(scene.rgb, alpha)
            if scene.shadow is None:
                for key in floor, light:
                    false[matte, key].append(shadow.found)
                continue
            for key in floor, light:
                rows[matte, key].append(errors(scene, shadow))
            if matte == "true" and shadow.reason:
                reasons[shadow.reason] += 1
    columns = ("MAE", "MAE there", "precision", "recall", "refused")
    print("| matte | scenes | n | " + " | ".join(columns) + " |")
    print("|---" * (3 + len(columns)) + "|")
    for matte in ("true", "u2netp"):
        for key in (*FLOORS, "hard", "soft", "contact"):
            values = rows[matte, key]
            cells = " | ".join(f"{mean([v[c] for v in values]):.3f}" for c in columns)
            print(f"| {matte} | {key} | {len(values)} | {cells} |")
    print("| matte | scenes without a shadow | n | false shadows |\n|---|---|---|---|")
    for (matte, key), found in sorted(false.items()):
        print(f"| {matte} | {key} | {len(found)} | {sum(found)} |")
    print("refusals with the true matte:", dict(reasons))


def measure_photos(dataset: Path, sheet: Path | None) -> None:
    predictor = embedded()
    print("| photo | kept | IoU | density | confidence | UEA at the shadow | shadow_leak |")
    print("|---" * 7 + "|")
    samples = [s for s in read_dataset(dataset) if s.shadow is not None]
    kept: list[tuple[float, float, float]] = []
    for sample in samples:
        rgb = load_rgb(sample.image)
        alpha = predicted(rgb, predictor)
        shadow = keep_shadow(rgb, alpha)
        iou, uea, leak = photo_values(sample, alpha, shadow)
        kept.append((iou, uea, leak))
        print(
            f"| {sample.id} | {shadow.reason or 'yes'} | {iou:.3f} | {shadow.density:.2f} "
            f"| {shadow.confidence:.2f} | {uea:.3f} | {leak:.3f} |"
        )
        if sheet is not None:
            write_row(sheet / f"{sample.id}.png", rgb, alpha, shadow)
    means = " | ".join(f"{mean([row[i] for row in kept]):.3f}" for i in range(3))
    print(f"mean of IoU, UEA, shadow_leak over {len(samples)} photos: {means}")


def photo_values(sample: Sample, alpha: Alpha, shadow: Shadow) -> tuple[float, float, float]:
    """IoU with the mask, UEA of the edge that borders on it, and the leak of the matte into it."""
    assert sample.shadow is not None
    truth, mask = load_matte(sample.alpha), load_matte(sample.shadow) > 0.5
    outside = truth < 0.02
    seen = (layer(shadow, alpha.shape) > DENSE) & outside
    region = mask & outside
    both, either = int((seen & region).sum()), int((seen | region).sum())
    matte, shaded = alpha * UNIT, mask.astype(np.uint8)
    edge = usable_edge(matte, truth, sample.tolerance_px, sample.edge_level, shaded)
    return both / max(1, either), edge.uea_shadow, shadow_leak(matte, truth, shaded)


def write_row(path: Path, rgb: RgbImage, alpha: Alpha, shadow: Shadow) -> None:
    colours = estimate_foreground(rgb, alpha)
    plain, shaded = Cutout(colours, alpha), Cutout(colours, alpha, shadow=shadow)
    pictures = [rgb, compose.on_colour(plain, compose.WHITE).rgb]
    pictures += [compose.on_colour(shaded, colour).rgb for colour in (compose.WHITE, BLUE)]
    size = (SHEET_WIDTH_PX, round(SHEET_WIDTH_PX * rgb.shape[0] / rgb.shape[1]))
    row = np.hstack([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in pictures])
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), row[..., ::-1])


def measure_time() -> None:
    cv2.setNumThreads(1)
    print("| scene at 12 MP | shadow, % of the picture | ms |\n|---|---|---|")
    for index in (0, 1, 6, 10, 15, 4, 25):
        scene = make_scene(index)
        rgb = cv2.resize(scene.rgb, (4000, 3000), interpolation=cv2.INTER_CUBIC)
        alpha = cv2.resize(scene.alpha, (4000, 3000), interpolation=cv2.INTER_CUBIC)
        times = []
        for _ in range(5):
            started = time.thread_time()
            shadow = keep_shadow(np.asarray(rgb, np.uint8), np.asarray(alpha, np.uint8))
            times.append((time.thread_time() - started) * 1e3)
        part = 100 * float((layer(shadow, alpha.shape) > DENSE).mean())
        print(f"| {scene.id} | {part:.1f} | {median(times):.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure shadow=keep.")
    commands = parser.add_subparsers(dest="command", required=True)
    scenes = commands.add_parser("scenes")
    scenes.add_argument("--count", type=int, default=210)
    scenes.add_argument("--seed", type=int, default=0)
    photos = commands.add_parser("photos")
    photos.add_argument("dataset", type=Path)
    photos.add_argument("--sheet", type=Path, help="a folder for one picture of each photo")
    commands.add_parser("time")
    args = parser.parse_args()
    match args.command:
        case "scenes":
            measure_scenes(args.count, args.seed)
        case "photos":
            measure_photos(args.dataset, args.sheet)
        case _:
            measure_time()


if __name__ == "__main__":
    main()
