"""Correct wrong mattes with simulated strokes, and measure what becomes of them.

    python bench/strokes.py DATASET [--below 0.97] [--rounds 3] [--mode smart] [--sheet FOLDER]

Of the photos of DATASET, those are taken whose matte by the embedded model has an IoU below
`--below`. In each round, one line is drawn through each of the three largest wrong regions: the
path between the two ends of the region that stays closest to its middle, with a brush half as wide
as the region there. It never leaves the region. The matte of one round is the caller's own matte in
the next. *Ideal* is what the first round could reach: those three regions corrected to the pixel.
Means are those of all photos, of both `BANDS`, and of the 20 most wrong mattes among those of the
upper band, in which the network found the subject.

`--sheet` writes a picture for each photo: the photo with the matte's contour and the
strokes before, and the contour after the first round.
"""

import argparse
import heapq
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from rmbg_service.evaluation.dataset import Sample, load_matte, load_rgb, read_dataset
from rmbg_service.evaluation.measures import iou
from rmbg_service.matting.arrays import UNIT, resize
from rmbg_service.models.predictor import Predictor
from rmbg_service.models.select import select_predictor
from rmbg_service.removal.remove import remove_background
from rmbg_service.settings import Settings
from rmbg_service.types import Alpha, BoolMask, Matte, RgbImage

REGIONS = 3
BRUSH = 0.5
"""Width of the brush as a share of the region's."""

MIN_REGION = 1e-4
"""Regions smaller than this share of the picture get no stroke."""

GRID_PX = 160
"""Longest side of the grid on which a path through a region is found."""

STEPS = [(y, x, float(np.hypot(y, x))) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x]
BANDS = ((0.0, 0.8), (0.8, 1.0))
MOST_WRONG = 20

Cell = tuple[int, int]


class Corrected(NamedTuple):
    """A photo and the IoU of its matte: before, with ideal regions, and after each round."""

    sample: Sample
    before: float
    ideal: float
    rounds: list[float]


def wrong_regions(matte: Matte, truth: Matte) -> list[tuple[bool, BoolMask]]:
    """The largest connected regions in which the matte is wrong, and whether to keep each."""
    seen, true = matte >= 0.5, truth >= 0.5
    found = []
    for keep, wrong in ((True, true & ~seen), (False, seen & ~true)):
        count, labels, facts, _ = cv2.connectedComponentsWithStats(
            wrong.astype(np.uint8), connectivity=4
        )
        for label in range(1, count):
            area = int(facts[label, cv2.CC_STAT_AREA])
            if area >= MIN_REGION * wrong.size:
                found.append((area, keep, np.asarray(labels == label)))
    found.sort(key=lambda region: -region[0])
    return [(keep, mask) for _, keep, mask in found[:REGIONS]]


def medial_path(region: BoolMask) -> list[tuple[int, int]]:
    """The path through a region, `(x, y)` in px, from one end of its middle to the other."""
    scale = min(1.0, GRID_PX / max(region.shape))
    size = (max(1, round(region.shape[0] * scale)), max(1, round(region.shape[1] * scale)))
    share = resize(region.astype(np.float32), size)
    cells = (share >= min(0.5, float(share.max()))).astype(np.uint8)
    _, labels, facts, _ = cv2.connectedComponentsWithStats(cells, connectivity=8)
    inside = labels == 1 + int(np.argmax(facts[1:, cv2.CC_STAT_AREA]))
    padded = np.pad(inside, 1).astype(np.uint8)
    depth = np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5), np.float32)[1:-1, 1:-1]
    middle = depth >= depth.max() / 2
    plain = np.ones_like(depth)
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    start = _farthest((int(row), int(column)), inside, plain, middle)
    end = _farthest(start, inside, plain, middle)
    _, before = _paths(start, inside, np.maximum(depth, np.float32(0.5)) ** -2)
    path = [end]
    while path[-1] != start:
        path.append(before[path[-1]])
    return [(int((x + 0.5) / scale), int((y + 0.5) / scale)) for y, x in path]


def _farthest(start: Cell, inside: BoolMask, cost: Matte, ends: BoolMask) -> Cell:
    lengths, _ = _paths(start, inside, cost)
    return max((cell for cell in lengths if ends[cell]), key=lambda cell: lengths[cell])


def _paths(
    start: Cell, inside: BoolMask, cost: Matte
) -> tuple[dict[Cell, float], dict[Cell, Cell]]:
    """Dijkstra's shortest paths from `start`: the length to each cell and the cell before it."""
    lengths: dict[Cell, float] = {start: 0.0}
    before: dict[Cell, Cell] = {}
    queue = [(0.0, start)]
    while queue:
        length, (y, x) = heapq.heappop(queue)
        if length > lengths[y, x]:
            continue
        for down, across, step in STEPS:
            cell = y + down, x + across
            if not (0 <= cell[0] < inside.shape[0] and 0 <= cell[1] < inside.shape[1]):
                continue
            if inside[cell] and length + step * cost[cell] < lengths.get(cell, np.inf):
                lengths[cell] = length + step * float(cost[cell])
                before[cell] = y, x
                heapq.heappush(queue, (lengths[cell], cell))
    return lengths, before


def draw_strokes(matte: Matte, truth: Matte) -> RgbImage:
    """The strokes of one round, `(H, W, 4)`."""
    strokes = np.zeros((*matte.shape, 4), np.uint8)
    for keep, region in wrong_regions(matte, truth):
        path = medial_path(region)
        depth = cv2.distanceTransform(np.pad(region, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:, 1:]
        width = max(1, round(2 * BRUSH * float(np.median([depth[y, x] for x, y in path]))))
        line = np.zeros(matte.shape, np.uint8)
        cv2.polylines(line, [np.array(path, np.int32)[:, None]], False, 1, width)
        strokes[(line > 0) & region] = (*(255 * keep,) * 3, 255)
    return strokes


def corrected(
    sample: Sample, alpha: Alpha, rounds: int, mode: str, sheet: Path | None
) -> Corrected:
    rgb, truth = load_rgb(sample.image), load_matte(sample.alpha)
    before, after = iou(alpha * UNIT, truth), []
    ideal = np.asarray(alpha * UNIT)
    for keep, region in wrong_regions(ideal, truth):
        ideal[region] = keep
    for number in range(rounds):
        strokes = draw_strokes(alpha * UNIT, truth)
        last = alpha
        if strokes.any():
            alpha = remove_background(
                rgb, matte=alpha, strokes=strokes, strokes_mode=mode, output="matte", detail="off"
            ).alpha
        after.append(iou(alpha * UNIT, truth))
        if sheet is not None and number == 0:
            panels = [_panel(rgb, last, strokes), _panel(rgb, alpha, strokes * 0)]
            Image.fromarray(np.hstack(panels)).save(sheet / f"{sample.id}.jpg")
    return Corrected(sample, before, iou(ideal, truth), after)


def _panel(rgb: RgbImage, alpha: Alpha, strokes: RgbImage) -> RgbImage:
    panel = np.where(strokes[..., 3:] > 0, strokes[..., :3], rgb)
    panel[alpha < 128] //= 2
    return np.ascontiguousarray(panel)


def wrong_photos(
    folder: Path, predictor: Predictor, below: float
) -> Iterator[tuple[Sample, Alpha]]:
    """The photos whose matte has a lower IoU, and their mattes."""
    for sample in read_dataset(folder):
        if sample.unambiguous:
            rgb, truth = load_rgb(sample.image), load_matte(sample.alpha)
            alpha = remove_background(rgb, predictor=predictor, output="matte").alpha
            if iou(alpha * UNIT, truth) < below:
                yield sample, alpha


def main() -> None:
    parser = argparse.ArgumentParser(description="Correct wrong mattes with simulated strokes.")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--below", type=float, default=0.97)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mode", choices=["smart", "exact"], default="smart")
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args()
    if args.sheet is not None:
        args.sheet.mkdir(parents=True, exist_ok=True)
    predictor = select_predictor(Settings(model="u2netp"))
    predictor.load()
    results = []
    print("| photo | before | ideal |" + "".join(f" round {n + 1} |" for n in range(args.rounds)))
    print("|---" * (args.rounds + 3) + "|")
    for sample, alpha in wrong_photos(args.dataset, predictor, args.below):
        result = corrected(sample, alpha, args.rounds, args.mode, args.sheet)
        print_row(sample.id, [result.before, result.ideal, *result.rounds])
        results.append(result)
    for low, high in (*BANDS, (0.0, 1.0)):
        inside = [result for result in results if low <= result.before < high]
        print_means(f"from {low:g} to {high:g}", inside)
    found = [r for r in sorted(results, key=lambda r: r.before) if r.before >= BANDS[1][0]]
    print_means("most wrong of those found", found[:MOST_WRONG])
    lowered = [r.sample.id for r in results if min(r.rounds) < r.before]
    print(f"\nlower than before: {', '.join(lowered) or 'none'}")


def print_means(name: str, results: list[Corrected]) -> None:
    rows = [[result.before, result.ideal, *result.rounds] for result in results]
    if rows:
        means = [fmean(column) for column in zip(*rows, strict=True)]
        print_row(f"{len(rows)} photos {name}", means)


def print_row(name: str, ious: list[float]) -> None:
    print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in ious) + " |", flush=True)


if __name__ == "__main__":
    main()
