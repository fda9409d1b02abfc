"""Make a dataset of small subjects, which are rare in photo collections.

    python bench/small_subjects.py DATASET OUT
    rmbg-service evaluate OUT --detail off --detail guided --detail crop --detail auto

Each photo of DATASET with a true alpha is cut out with clean colours and put, at its own size, on a
smooth random background of three times its width and height.
"""

import argparse
import csv
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from rmbg_service.evaluation.dataset import Sample, load_matte, load_rgb, read_dataset
from rmbg_service.matting.foreground import estimate_foreground
from rmbg_service.types import Alpha, RgbImage


def small_subject(sample: Sample) -> tuple[RgbImage, Alpha]:
    rgb, matte = load_rgb(sample.image), load_matte(sample.alpha)
    height, width = matte.shape
    noise = np.random.default_rng(height * width).uniform(40, 215, (6, 8, 3)).astype(np.float32)
    canvas = cv2.resize(noise, (3 * width, 3 * height), interpolation=cv2.INTER_CUBIC)
    alpha = np.zeros((3 * height, 3 * width), np.uint8)
    place = slice(height, 2 * height), slice(width, 2 * width)
    alpha[place] = np.rint(255 * matte)
    share = matte[..., None]
    canvas[place] = share * estimate_foreground(rgb, alpha[place]) + (1 - share) * canvas[place]
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8), alpha


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a dataset of small subjects.")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rows = [("file", "alpha", "tags")]
    for sample in read_dataset(args.dataset):
        if sample.unambiguous and sample.gt_kind == "alpha":
            picture, alpha = small_subject(sample)
            names = f"{sample.id}.png", f"{sample.id}_alpha.png"
            Image.fromarray(picture).save(args.out / names[0], compress_level=1)
            Image.fromarray(alpha).save(args.out / names[1])
            rows.append((*names, " ".join(sorted(sample.tags))))
    with (args.out / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


if __name__ == "__main__":
    main()
