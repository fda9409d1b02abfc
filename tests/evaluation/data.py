"""A tiny dataset and candidates for it, made on the spot."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from rmbg_service.evaluation.candidates import Candidate, Predict, Prediction
from rmbg_service.evaluation.dataset import Sample, load_matte, read_dataset
from rmbg_service.types import Matte

SIZE = (120, 160)


def disc(radius: float, size: tuple[int, int] = SIZE) -> Matte:
    """A disc in the middle with an edge one pixel soft."""
    y, x = np.mgrid[: size[0], : size[1]]
    distance = np.hypot(x - size[1] / 2, y - size[0] / 2)
    return np.asarray(np.clip(radius - distance + 0.5, 0, 1), np.float32)


def save_matte(path: Path, matte: Matte) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(matte * 255).astype(np.uint8)).save(path)


def make_dataset(
    folder: Path,
    tags: Sequence[str] = ("hair", "hair toy", ""),
    size: tuple[int, int] = SIZE,
) -> list[Sample]:
    """One photo for each entry of `tags`, called p0, p1 and so on, with a shadow at the right."""
    rows = []
    for index, tag in enumerate(tags):
        matte = disc(30 + 4 * index, size)
        save_matte(folder / f"p{index}_alpha.png", matte)
        shadow = np.zeros(size, np.float32)
        shadow[60:100, 100:] = 1
        save_matte(folder / f"p{index}_shadow.png", shadow)
        rgb = np.dstack([matte * 200 + 30] * 3).astype(np.uint8)
        Image.fromarray(rgb).save(folder / f"p{index}.png")
        rows.append((f"p{index}.png", f"p{index}_alpha.png", f"p{index}_shadow.png", tag))
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "alpha", "shadow_mask", "tags"), *rows])
    return read_dataset(folder)


class Scripted:
    """A candidate that changes the truth by a function, and notes what it was asked for."""

    def __init__(
        self,
        change: Callable[[Matte], Matte] = lambda truth: truth,
        name: str = "scripted",
        seconds: float = 0.5,
    ) -> None:
        self.change = change
        self.version = "1"
        self.seconds = seconds
        self.opened = 0
        self.asked: list[str] = []
        self.candidate = Candidate(name, "a test", lambda _: self.version, self._open)

    @contextmanager
    def _open(self) -> Iterator[Predict]:
        self.opened += 1
        yield self._predict

    def _predict(self, sample: Sample) -> Prediction:
        self.asked.append(sample.id)
        return Prediction(self.change(load_matte(sample.alpha)), self.seconds)
