"""`rmbg-service serve` with a predictor that waits for one line on stdin for each prediction."""

import sys
from collections.abc import Sequence
from unittest.mock import patch

from rmbg_service.cli import main
from rmbg_service.models.predictor import Predictor
from rmbg_service.settings import Settings
from rmbg_service.types import Matte, ModelInput
from tests.fakes import FakePredictor


class StdinGated(FakePredictor):
    def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
        sys.stdin.readline()
        return super().predict(batch)


def gated(settings: Settings) -> Predictor:
    return StdinGated()


if __name__ == "__main__":
    with patch("rmbg_service.api.app.select_predictor", gated):
        main()
