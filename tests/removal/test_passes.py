"""The order in which the network is asked, driven by hand."""

import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np
import pytest

from rmbg_service.errors import InferenceError, NoMattingModel
from rmbg_service.imaging.probe import probe
from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.matting.trimap import BACKGROUND, UNKNOWN
from rmbg_service.matting.upsampling import upsample
from rmbg_service.models.with_matting import PredictorWithMatting
from rmbg_service.removal import passes
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.passes import (
    TILES_AT_ONCE,
    Passes,
    Prediction,
    predict,
    predict_passes,
)
from rmbg_service.serving import job
from rmbg_service.serving.job import CodecWork
from rmbg_service.types import Matte, MattingInput, ModelInput
from tests.fakes import FakeMatting, FakePredictor, picture_bytes

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


def first_tiles(passes: Passes[Prediction], matte: Matte) -> Sequence[MattingInput]:
    """The first tiles, after every view has had the same matte."""
    inputs = next(passes)
    while inputs[0].shape[2] == 3:
        inputs = passes.send([matte] * len(inputs))
    return inputs


@pytest.mark.parametrize(
    "wrong", [np.full(INPUT, np.nan, np.float32), np.full(INPUT, 1.5, np.float32), np.zeros((9, 9))]
)
def test_what_is_not_a_matte_is_refused(wrong: Matte) -> None:
    class Broken(FakePredictor):
        input_size = INPUT

        def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
            return [wrong for _ in batch]

    with pytest.raises(InferenceError, match="expected a matte"):
        predict(source(), Broken(), RemovalOptions())


def test_matting_asks_for_tiles_of_the_band_after_the_views_a_few_at_a_time() -> None:
    passes = predict_passes(source(2_400), RemovalOptions(detail="matting"), INPUT)
    groups, inputs = [], first_tiles(passes, square(8, 56))
    prediction = None
    while prediction is None:
        groups.append(len(inputs))
        assert {tile.shape for tile in inputs} <= {
            (h, w, 4) for h in (512, 480) for w in (512, 480)
        }
        for tile in inputs:
            assert (tile[..., 3] == UNKNOWN).any()
        try:
            inputs = passes.send([np.full(tile.shape[:2], 0.5, np.float32) for tile in inputs])
        except StopIteration as end:
            prediction = end.value
    assert groups[0] == TILES_AT_ONCE
    assert len(groups) > 1
    assert prediction.alpha.shape == (2_400, 2_400)
    plain = upsample(prediction.matte, (2_400, 2_400))
    changed = prediction.alpha != plain
    assert (prediction.alpha[changed] == 128).all()
    assert (prediction.alpha[1_000:1_400, 1_000:1_400] == 255).all()
    assert (prediction.alpha[:100] == 0).all()


def test_matting_sees_the_pixels_of_the_image_and_takes_hidden_ones_for_background() -> None:
    picture = source()
    alpha = np.full((400, 400), 255, np.uint8)
    alpha[:, :100] = 0
    hidden = SourceImage(picture.info, picture.rgb, alpha)
    passes = predict_passes(hidden, RemovalOptions(detail="matting"), (600, 600))
    matte = np.full((600, 600), 0.5, np.float32)
    matte[300:400, 300:400] = 1
    (tile,) = first_tiles(passes, matte)
    assert (tile[..., :3] == picture.rgb).all()
    assert (tile[:, :100, 3] == BACKGROUND).all()
    assert (tile[:100, 100:, 3] == UNKNOWN).all()


def test_where_nothing_is_found_the_matting_network_is_not_asked() -> None:
    passes = predict_passes(source(), RemovalOptions(detail="matting"), INPUT)
    next(passes)
    prediction = finished(passes, [np.full(INPUT, 0.4, np.float32)])
    assert not prediction.found
    assert prediction.alpha is None


def test_matting_without_a_matting_model_says_how_to_switch_it_on() -> None:
    options, predictor = RemovalOptions(detail="matting"), FakePredictor()
    with pytest.raises(NoMattingModel, match="RMBG_MATTING_MODEL=vitmatte-small-composition-1k"):
        predict(source(), predictor, options)
    assert predictor.predicted == []
    matting = FakeMatting()
    pair = PredictorWithMatting(predictor, matting)
    prediction = predict(source(), pair, options)
    assert prediction.alpha is not None
    assert set(np.unique(prediction.alpha)) == {0, 64, 255}
    assert (len(predictor.predicted), len(matting.predicted)) == (1, 1)


def predict_here() -> None:
    predict(source(), FakePredictor(), RemovalOptions())


def predict_in_a_job() -> None:
    data = picture_bytes()
    options, deadline = RemovalOptions(), time.monotonic() + 60
    work = CodecWork(data=data, info=probe(data, 10_000), options=options, deadline=deadline)
    running = work.run(FakePredictor.input_size, 10_000)
    running.send(FakePredictor().predict(next(running)))


@pytest.mark.parametrize("drive", [predict_here, predict_in_a_job])
def test_inputs_are_given_up_before_their_mattes_are_joined(
    drive: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of many views take as much memory as the mattes."""
    kept: list[object] = []

    def one_pass(*_: object) -> Passes[Prediction]:
        model_input = np.zeros((*FakePredictor.input_size, 3), np.uint8)
        seen = weakref.ref(model_input)
        (matte,) = yield [model_input]
        del model_input
        kept.append(seen())
        return Prediction(matte, "plain")

    monkeypatch.setattr(passes, "predict_passes", one_pass)
    monkeypatch.setattr(job, "predict_passes", one_pass)
    with suppress(StopIteration):
        drive()
    assert kept == [None]
