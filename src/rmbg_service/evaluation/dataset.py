"""Photos with known mattes: a folder with `manifest.csv`, or `images/` beside `alphas/`."""

import csv
import hashlib
import logging
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageOps

from rmbg_service.errors import ConfigurationError
from rmbg_service.evaluation.edges import Mask
from rmbg_service.system.files import IMAGE_SUFFIXES, file_digest
from rmbg_service.types import Matte

log = logging.getLogger(__name__)

pillow_heif.register_heif_opener()  # Pillow alone does not open HEIC

REQUIRED_COLUMNS = {"file", "alpha"}

TOLERANCE_PX = {"alpha": 1, "composite-exact": 1, "binary": 2, "approx-alpha": 3}
"""How far the edge of a truth may be off, by its kind, unless the manifest says otherwise."""


@dataclass(frozen=True)
class Sample:
    """One photo and its truth.

    `gt_kind` is a key of `TOLERANCE_PX`. `tolerance_px` is how far the truth's own edge may be off.
    A sample that is not `unambiguous` (people would not agree on its subject) is left out of means.
    """

    id: str
    image: Path
    alpha: Path
    shadow: Path | None = None
    tags: frozenset[str] = frozenset()
    gt_kind: str = "alpha"
    tolerance_px: int = TOLERANCE_PX["alpha"]
    unambiguous: bool = True

    @property
    def edge_level(self) -> float:
        """The value of the truth that counts as its edge; glass is seldom opaque."""
        return 0.1 if "translucent" in self.tags else 0.5


def read_dataset(folder: Path) -> list[Sample]:
    """The samples of a folder in a fixed order; opens no image.

    Raises `ConfigurationError` if the folder has neither form or no photos, a row is incomplete, or
    a file that it names is missing.
    """
    if (folder / "manifest.csv").is_file():
        samples = _from_manifest(folder)
    elif (folder / "images").is_dir() and (folder / "alphas").is_dir():
        samples = _from_pairs(folder)
    elif folder.is_dir():
        raise ConfigurationError(f"{folder}: expected manifest.csv, or images/ and alphas/")
    else:
        raise ConfigurationError(f"{folder} is not a folder")
    if not samples:
        raise ConfigurationError(f"{folder} has no photos")
    repeated = [name for name, times in Counter(s.id for s in samples).items() if times > 1]
    if repeated:
        raise ConfigurationError(f"{folder}: several photos are called {', '.join(repeated)}")
    for sample in samples:
        for path in (sample.image, sample.alpha, sample.shadow):
            if path is not None and not path.is_file():
                raise ConfigurationError(f"{folder}: {sample.id} names a missing file, {path}")
    return samples


@cache
def sample_digest(sample: Sample) -> str:
    """Digest of a sample's files and of how it is judged; computed once in a process."""
    parts = [
        file_digest(path) if path else "" for path in (sample.image, sample.alpha, sample.shadow)
    ]
    parts += [sample.id, sample.gt_kind, str(sample.tolerance_px), *sorted(sample.tags)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def load_rgb(path: Path) -> NDArray[np.uint8]:
    """`(H, W, 3)` uint8, rotated by its EXIF orientation."""
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def load_matte(path: Path) -> Matte:
    """`(H, W)` float32 in [0, 1]: the alpha channel, or the grey value if there is none."""
    with Image.open(path) as image:
        if image.mode.startswith("I"):
            return np.asarray(image, np.float32) * np.float32(1 / 65535)
        if image.mode == "F":
            return np.clip(np.asarray(image, np.float32), 0, 1)
        if image.has_transparency_data:
            channel = image.convert("RGBA").getchannel("A")
        else:
            channel = image.convert("L")
        return np.asarray(channel, np.float32) * np.float32(1 / 255)


def load_shadow(path: Path) -> Mask:
    """`(H, W)` uint8, 0 outside cast shadows."""
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def _from_manifest(folder: Path) -> list[Sample]:
    table = folder / "manifest.csv"
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write a BOM
            reader = csv.DictReader(file)
            missing = REQUIRED_COLUMNS - set(reader.fieldnames or ())
            if missing:
                raise ConfigurationError(f"{table}: no column {', '.join(missing)}")
            return [_from_row(folder, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{table} is not a CSV file in UTF-8: {error}") from None


def _from_row(folder: Path, row: dict[str, str]) -> Sample:
    if not row["file"] or not row["alpha"]:
        raise ConfigurationError(f"{folder}/manifest.csv: a row without file or alpha: {row}")
    kind = row.get("gt_kind") or "alpha"
    if kind not in TOLERANCE_PX:
        raise ConfigurationError(f"{folder}/manifest.csv: {row['file']} has gt_kind {kind!r}")
    tolerance = row.get("tolerance_px") or str(TOLERANCE_PX[kind])
    if not (tolerance.isascii() and tolerance.isdigit() and int(tolerance) > 0):
        raise ConfigurationError(
            f"{folder}/manifest.csv: {row['file']} has tolerance_px {tolerance!r}, "
            "expected a whole number of at least 1"
        )
    shadow = row.get("shadow_mask")
    return Sample(
        id=Path(row["file"]).stem,
        image=folder / row["file"],
        alpha=folder / row["alpha"],
        shadow=folder / shadow if shadow else None,
        tags=frozenset((row.get("tags") or "").split()),
        gt_kind=kind,
        tolerance_px=int(tolerance),
        unambiguous=(row.get("salient_unambiguous") or "").strip().lower() != "no",
    )


def _from_pairs(folder: Path) -> list[Sample]:
    images, alphas = _images(folder / "images"), _images(folder / "alphas")
    alpha_of = {path.stem: path for path in alphas}
    for image in images:
        if image.stem not in alpha_of:
            raise ConfigurationError(f"{folder}: no file in alphas/ for images/{image.name}")
    left_over = alpha_of.keys() - {image.stem for image in images}
    if left_over:
        log.warning("%s: no photo in images/ for %s", folder, ", ".join(sorted(left_over)))
    return [Sample(id=p.stem, image=p, alpha=alpha_of[p.stem]) for p in images]


def _images(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )
