"""The order in which the network is asked, driven by hand."""

from collections.abc import Sequence

import numpy as np
import pytest

from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.passes import Passes, Prediction, predict, predict_passes
from rmbg_service.types import Matte, ModelInput
from tests.fakes import FakePredictor

INPUT = (64, 64)


def source(side: int = 400) -> SourceImage:
    """A picture that is brighter to the right."""
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    rgb = np.broadcast_to(ramp[None, :, None], (side, side, 3)).copy()
    return SourceImage(ImageInfo("array", side, side), rgb)


def square(low: int, high: int) -> Matte:
    matte = np.zeros(INPUT, np.float32)
    matte[low:high, low:high] = 1
    return matte


def finished(passes: Passes[Prediction], mattes: Sequence[Matte]) -> Prediction:
    with pytest.raises(StopIteration) as end:
        passes.send(mattes)
    prediction = end.value.value
    assert isinstance(prediction, Prediction)
    return prediction


def test_without_detail_the_full_view_is_all() -> None:
    passes = predict_passes(source(), RemovalOptions(detail="off"), INPUT)
    (full,) = next(passes)
    assert full.shape == (*INPUT, 3)
    matte = square(8, 40)
    prediction = finished(passes, [matte])
    assert prediction.matte is matte
    assert prediction.refinement == "plain"


def test_further_views_come_together_after_the_first() -> None:
    passes = predict_passes(source(), RemovalOptions(detail="auto"), INPUT)
    (full,) = next(passes)
    box, mirrored = passes.send([square(24, 40)])
    assert (mirrored == box[:, ::-1]).all()
    assert box[0, -1, 0] - box[0, 0, 0] < full[0, -1, 0] - full[0, 0, 0]  # a part of the ramp
    prediction = finished(passes, [square(20, 44)] * 2)
    assert prediction.refinement == "guided"
    assert max(prediction.matte.shape) > INPUT[0], "a box brings detail"


def test_nothing_found_asks_for_nothing_more() -> None:
    passes = predict_passes(source(), RemovalOptions(), INPUT)
    next(passes)
    prediction = finished(passes, [np.full(INPUT, 0.4, np.float32)])
    assert not prediction.found
    assert prediction.confidence == pytest.approx(0.4)


def test_a_decided_matte_has_a_confidence_of_one_and_an_empty_one_of_zero() -> None:
    assert Prediction(square(8, 40), "plain").confidence == 1
    assert Prediction(np.zeros(INPUT, np.float32), "plain").confidence == 0


def test_a_predictor_is_asked_for_one_input_at_a_time() -> None:
    class Small(FakePredictor):
        input_size = INPUT

        def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
            super().predict(batch)
            return [square(24, 40) for _ in batch]

    predictor = Small()
    assert predict(source(), predictor, RemovalOptions()).found
    assert predictor.predicted == [1, 1, 1]
