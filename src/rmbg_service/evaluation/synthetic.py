"""Synthetic scenes as a dataset on disk."""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rmbg_service.evaluation.scenes import Scene

VISIBLE_SHADOW = 13
"""The least attenuation, of 255, that counts as shadow: 5%."""


def write_scenes(scenes: Iterable[Scene], folder: Path) -> None:
    """Write `manifest.csv` and, in `scenes/`, the image, matte and shadow mask of each scene."""
    (folder / "scenes").mkdir(parents=True, exist_ok=True)
    rows = [_write(scene, folder) for scene in scenes]
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["file", "alpha", "shadow_mask", "tags", "gt_kind"])
        table.writeheader()
        table.writerows(rows)


def _write(scene: Scene, folder: Path) -> dict[str, str]:
    row = {
        "file": _save(scene.rgb, folder, f"{scene.id}.png"),
        "alpha": _save(scene.alpha, folder, f"{scene.id}_alpha.png"),
        "tags": " ".join(scene.tags),
        "gt_kind": "composite-exact",
    }
    if scene.shadow is not None:
        mask = np.where(scene.shadow >= VISIBLE_SHADOW, np.uint8(255), np.uint8(0))
        row["shadow_mask"] = _save(mask, folder, f"{scene.id}_shadow.png")
    return row


def _save(pixels: NDArray[np.uint8], folder: Path, name: str) -> str:
    Image.fromarray(pixels).save(folder / "scenes" / name)
    return f"scenes/{name}"
