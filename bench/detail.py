"""Measure `detail` = off, guided, crop and auto on photos with known mattes, per tag.

    python bench/detail.py DATASET [--model FILE.onnx] [--size 320] [--rows all|even|odd]

DATASET is a folder as `evaluation/dataset.py` reads it. The model is the embedded u2netp unless a
file is given; it must take ImageNet-normalised RGB and answer with a matte in [0, 1]. The last
lines are the same for subjects made small: each photo with an alpha truth is cut out and put, at
its own size, on a smooth background of three times its width and height.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import onnxruntime
from PIL import Image

import rmbg_service
from rmbg_service.evaluation.dataset import Sample, load_matte, load_rgb, read_dataset
from rmbg_service.evaluation.measures import measure
from rmbg_service.matting.arrays import UNIT, Alpha, Picture
from rmbg_service.matting.choice import Detail, plan_detail, to_full_size
from rmbg_service.matting.crops import blend
from rmbg_service.matting.foreground import estimate_foreground
from rmbg_service.models.catalog import IMAGENET_MEAN, IMAGENET_STD
from rmbg_service.models.predictor import Matte

EMBEDDED = Path(rmbg_service.__file__).parent / "models" / "weights" / "u2netp.onnx"
COLUMNS = ("iou", "mae", "grad", "biou", "uea", "uea_hair")
DETAILS: tuple[Detail, ...] = ("off", "guided", "crop", "auto")
Network = Callable[[Picture], Matte]
Values = dict[Detail, dict[str, float]]


class Case(NamedTuple):
    """One picture to measure on."""

    tags: set[str]
    rgb: Picture
    truth: Matte
    tolerance_px: int
    edge_level: float


def load_network(path: Path, side: int) -> Network:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    output = session.get_outputs()[0].name

    def predict(rgb: Picture) -> Matte:
        shrunk = Image.fromarray(rgb).resize((side, side), Image.Resampling.BILINEAR)
        x = (np.asarray(shrunk, np.float32) / 255 - IMAGENET_MEAN) / IMAGENET_STD
        batch = x.transpose(2, 0, 1)[None].astype(np.float32)
        (answer,) = session.run([output], {session.get_inputs()[0].name: batch})
        return np.clip(np.asarray(answer, np.float32).squeeze(), 0, 1)

    return predict


def alphas(rgb: Picture, network: Network, side: int) -> Iterator[tuple[Detail, Alpha, int]]:
    first = network(rgb)
    size = (rgb.shape[0], rgb.shape[1])
    for detail in DETAILS:
        plan = plan_detail(detail, first, size, (side, side))
        seconds = [network(rgb[b.top : b.bottom, b.left : b.right]) for b in plan.boxes]
        matte = blend(first, size, plan.boxes, seconds)
        yield detail, to_full_size(rgb, matte, plan.guided), len(plan.boxes)


def photo_case(sample: Sample) -> Case:
    truth = load_matte(sample.alpha)
    tags = {"all", "alpha truth" if sample.tolerance_px == 1 else "other truth", *sample.tags}
    return Case(tags, load_rgb(sample.image), truth, sample.tolerance_px, sample.edge_level)


def small_subject_case(sample: Sample) -> Case:
    rgb, alpha = load_rgb(sample.image), load_matte(sample.alpha)
    height, width = alpha.shape
    noise = np.random.default_rng(height * width).uniform(40, 215, (6, 8, 3)).astype(np.float32)
    canvas = cv2.resize(noise, (3 * width, 3 * height), interpolation=cv2.INTER_CUBIC)
    truth = np.zeros((3 * height, 3 * width), np.float32)
    place = slice(height, 2 * height), slice(width, 2 * width)
    share = alpha[..., None]
    canvas[place] = share * estimate_foreground(rgb, alpha) + (1 - share) * canvas[place]
    truth[place] = alpha
    picture = np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
    return Case({"small subject"}, picture, truth, sample.tolerance_px, sample.edge_level)


def report(cases: Iterable[Case], network: Network, side: int) -> None:
    by_tag: dict[str, list[Values]] = defaultdict(list)
    passes: dict[Detail, int] = defaultdict(int)
    for case in cases:
        values: Values = {}
        for detail, alpha, count in alphas(case.rgb, network, side):
            passes[detail] += count
            values[detail] = measure(
                alpha * UNIT,
                case.truth,
                tolerance_px=case.tolerance_px,
                edge_level=case.edge_level,
            )
        for tag in case.tags:
            by_tag[tag].append(values)
    print("| tag | n | detail | " + " | ".join(COLUMNS) + " |")
    print("|---" * (3 + len(COLUMNS)) + "|")
    for tag, rows in sorted(by_tag.items(), key=lambda item: (item[0] != "all", item[0])):
        for detail in DETAILS:
            means = [mean([row[detail][c] for row in rows]) for c in COLUMNS]
            cells = " | ".join(f"{m:.2f}" if m >= 2 else f"{m:.4f}" for m in means)
            print(f"| {tag} | {len(rows)} | {detail} | {cells} |")
    print("second passes:", ", ".join(f"{d} {passes[d]}" for d in DETAILS), flush=True)


def mean(values: list[float]) -> float:
    known = [v for v in values if not np.isnan(v)]
    return float(np.mean(known)) if known else np.nan


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure detail = off, guided, crop and auto.")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", type=Path, default=EMBEDDED)
    parser.add_argument("--size", type=int, default=320, help="side of the network's input")
    parser.add_argument("--rows", choices=("all", "even", "odd"), default="all")
    args = parser.parse_args()
    network = load_network(args.model, args.size)
    samples = [s for s in read_dataset(args.dataset) if s.unambiguous]
    wanted = {"all": samples, "even": samples[::2], "odd": samples[1::2]}[args.rows]
    started = time.perf_counter()
    report((photo_case(s) for s in wanted), network, args.size)
    compact = [s for s in wanted if s.gt_kind == "alpha"]
    report((small_subject_case(s) for s in compact), network, args.size)
    print(f"{args.model.name}: {len(wanted)} photos in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
