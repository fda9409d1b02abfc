"""What is evaluated: a model, or ready mattes of another tool."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rmbg_service.errors import ConfigurationError
from rmbg_service.evaluation.dataset import Sample, load_matte
from rmbg_service.imaging.cutout import Cutout
from rmbg_service.system.files import file_digest
from rmbg_service.types import Matte


class Prediction(NamedTuple):
    """A matte `(H, W)` float32 in [0, 1], and the seconds it took; NaN if unknown."""

    matte: Matte
    seconds: float


Predict = Callable[[Sample], Prediction]


@dataclass(frozen=True)
class Candidate:
    """One model or tool to evaluate, called `name`, from `source`.

    `identity` of a sample is a text that changes whenever the prediction for it may change.
    `open` yields the function that predicts, and frees its resources at the end.
    """

    name: str
    source: str
    identity: Callable[[Sample], str]
    open: Callable[[], AbstractContextManager[Predict]]


def timed(remove: Callable[[Path], Cutout]) -> Predict:
    """Predictions from a function that cuts out the image at a path, with its wall time."""

    def predict(sample: Sample) -> Prediction:
        started = time.perf_counter()
        cutout = remove(sample.image)
        seconds = time.perf_counter() - started
        return Prediction(cutout.alpha * np.float32(1 / 255), seconds)

    return predict


def prediction_folder(name: str, folder: Path) -> Candidate:
    """The files `<id>.png` of a folder: their alpha channel, or grey values if they have none.

    Raises `ConfigurationError` if the folder does not exist.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is not a folder of predictions")

    def path_of(sample: Sample) -> Path:
        path = folder / f"{sample.id}.png"
        if not path.is_file():
            raise FileNotFoundError(f"no prediction at {path}")
        return path

    @contextmanager
    def opened() -> Iterator[Predict]:
        yield lambda sample: Prediction(load_matte(path_of(sample)), math.nan)

    return Candidate(name, str(folder), lambda sample: file_digest(path_of(sample)), opened)
