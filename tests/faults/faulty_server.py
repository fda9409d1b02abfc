"""`rmbg-service serve` with a predictor that does what FAULT says with a black image."""

import ctypes
import os
from collections.abc import Callable, Sequence
from unittest.mock import patch

import numpy as np

from rmbg_service.cli import main
from rmbg_service.models.predictor import Predictor
from rmbg_service.settings import Settings
from rmbg_service.types import Matte, ModelInput
from tests.fakes import FakePredictor


def crash() -> None:
    """Read address 0."""
    ctypes.string_at(0)


def hoard() -> None:
    """Take more and more memory, and write to it so that it counts."""
    held = []
    while True:
        held.append(np.ones(10_000_000))


FAULTS: dict[str, Callable[[], None]] = {"crash": crash, "hoard": hoard}


class Faulty(FakePredictor):
    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        if not any(each.any() for each in batch):
            FAULTS[os.environ["FAULT"]]()
        return super().predict(batch)


def select(_: Settings) -> Predictor:
    return Faulty()


with patch("rmbg_service.api.app.select_predictor", select):
    main()
