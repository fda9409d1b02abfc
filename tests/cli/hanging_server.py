"""`rmbg-service serve` that hangs for ever in the step that the variable HANG names."""

import os
import threading
from collections.abc import Sequence
from unittest.mock import patch

from rmbg_service.cli import main
from rmbg_service.models.predictor import Predictor
from rmbg_service.settings import Settings
from rmbg_service.types import Matte, ModelInput
from tests.fakes import FakePredictor

STEP = os.environ["HANG"]


def hang() -> None:
    print("hanging", flush=True)
    threading.Event().wait()


class Hanging(FakePredictor):
    def load(self) -> None:
        if STEP == "load":
            hang()

    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        if STEP == "predict":
            hang()
        return super().predict(batch)

    def close(self) -> None:
        if STEP == "close":
            hang()


def select(_: Settings) -> Predictor:
    return Hanging()


def read(*_: object, **__: object) -> None:
    hang()


with patch("rmbg_service.api.app.select_predictor", select):
    if STEP == "decode":
        with patch("rmbg_service.removal.pipeline.read", read):
            main()
    else:
        main()
