"""Check every preset on photos: size, fill, background and bytes of each file.

    python bench/presets.py DATASET [--limit 30] [--upscale] [--shadow drop] [--out FOLDER]

Each photo is predicted once, and then laid out and written for each preset. A row of the table is a
preset: the files with its canvas, those with a smaller one of the same shape because the subject
has too few pixels, and those that it does not fill (`limited`); the largest difference from
the preset's fill among the files that are not limited; the largest file. Photos without a subject
are left out. Exits with 1 if a file breaks a rule.

The fill and the place of the background are measured in a lossless file of the same layout.
"""

import argparse
import sys
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageColor

from rmbg_service.evaluation.dataset import read_dataset
from rmbg_service.imaging.cutout import BOX_THRESHOLD, SHADOW_BOX_THRESHOLD, Cutout, box_of
from rmbg_service.imaging.probe import probe
from rmbg_service.models.select import select_predictor
from rmbg_service.removal import pipeline
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.passes import predict
from rmbg_service.removal.presets import PRESETS, Preset
from rmbg_service.removal.result import Encoded, encode
from rmbg_service.settings import load_settings

MAX_PIXELS = 50_000_000
JPEG_BLOCK_PX = 16
FILL_TOLERANCE = 0.01


def encoded(cutout: Cutout, preset: Preset, **given: object) -> Encoded:
    options = RemovalOptions.model_validate({"preset": preset.name} | given)
    return encode(cutout, options, MAX_PIXELS)


def pixels(result: Encoded) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(result.data)))


def fill_of(alpha: np.ndarray, threshold: int) -> float:
    box = box_of(np.ascontiguousarray(alpha), threshold)
    height, width = alpha.shape
    return 0.0 if box is None else max(box.width / width, box.height / height)


class File(NamedTuple):
    """What is right and wrong with one file."""

    has_canvas: bool
    limited: bool
    fill_error: float
    size: int
    broken: list[str]


def check(cutout: Cutout, preset: Preset, result: Encoded, **given: object) -> File:
    width, height = map(int, preset.canvas.split("x"))
    size = result.width, result.height
    lossless = {"format": "png", "background": None, "max_bytes": None}
    alpha = pixels(encoded(cutout, preset, **given, **lossless))[..., 3]
    reach = 2 * JPEG_BLOCK_PX + 1
    far = cv2.dilate(alpha, np.ones((reach, reach), np.uint8)) == 0
    threshold = BOX_THRESHOLD if cutout.shadow is None else SHADOW_BOX_THRESHOLD
    error = abs(fill_of(alpha, threshold) - float(preset.scale[:-1]) / 100)
    assert result.placement is not None
    limited = result.placement.limited
    least = min(preset.min_side, width, height)
    rules = {
        "size": abs(size[0] / size[1] - width / height) < 0.01 and min(size) >= least,
        "fill": limited or error <= FILL_TOLERANCE,
        "background": bool((pixels(result)[far] == ImageColor.getrgb(preset.background)[:3]).all()),
        "bytes": preset.max_bytes is None or len(result.data) <= preset.max_bytes,
    }
    broken = [rule for rule, kept in rules.items() if not kept]
    return File(size == (width, height), limited, error, len(result.data), broken)


def main() -> None:
    parser = argparse.ArgumentParser(description="Check every preset on photos.")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--limit", type=int, default=30)
    parser.add_argument("--out", type=Path, help="keep the files here")
    parser.add_argument("--shadow", default="off")
    parser.add_argument("--upscale", action="store_true")
    args = parser.parse_args()
    predictor = select_predictor(load_settings())
    predictor.load()
    given = {"shadow": args.shadow, "upscale": args.upscale}
    found: dict[str, list[File]] = {name: [] for name in PRESETS}
    for sample in read_dataset(args.dataset)[: args.limit]:
        data = sample.image.read_bytes()
        options = RemovalOptions.model_validate({"preset": "amazon"} | given)  # laid out below
        source = pipeline.read(data, probe(data, MAX_PIXELS), options)
        cutout = pipeline.cut_out(source, predict(source, predictor, options), options)
        if cutout.box is None:
            print(f"no subject in {sample.id}", file=sys.stderr)
            continue
        for name, preset in PRESETS.items():
            result = encoded(cutout, preset, **given)
            found[name].append(check(cutout, preset, result, **given))
            if args.out is not None:
                args.out.mkdir(parents=True, exist_ok=True)
                (args.out / f"{sample.id}-{name}.jpg").write_bytes(result.data)
    print("| preset | files | canvas | smaller | limited | largest fill error | largest file, kB |")
    print("|---|---|---|---|---|---|---|")
    for name, files in found.items():
        exact, limited = sum(f.has_canvas for f in files), sum(f.limited for f in files)
        error = max((f.fill_error for f in files if not f.limited), default=0.0)
        largest = max(f.size for f in files) / 1e3
        row = (f"`{name}`", len(files), exact, len(files) - exact, limited)
        print(f"| {' | '.join(map(str, row))} | {error:.4f} | {largest:.0f} |")
    wrong = [f"{name}: {rule}" for name in found for f in found[name] for rule in f.broken]
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
