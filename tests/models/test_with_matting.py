"""A predictor and a matting network behind one front."""

import copy

import numpy as np
import pytest

from rmbg_service.models.predictor import PatchOrderChoice
from rmbg_service.models.with_matting import PredictorWithMatting, matting_of
from tests.fakes import FakeMatting, FakePredictor


class Noted(FakeMatting):
    """Notes its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def load(self) -> None:
        self.calls.append("load")

    def warm_up(self) -> None:
        self.calls.append("warm up")


def test_each_input_goes_to_its_network_and_the_mattes_keep_their_order() -> None:
    predictor, matting = FakePredictor(), FakeMatting()
    pair = PredictorWithMatting(predictor, matting)
    image = np.zeros((32, 544, 3), np.uint8)
    tiles = [np.zeros((height, 40, 4), np.uint8) for height in (50, 60)]
    mattes = pair.predict([tiles[0], image, tiles[1], image])
    assert [matte.shape for matte in mattes] == [(50, 40), (32, 544), (60, 40), (32, 544)]
    assert [float(matte.max()) for matte in mattes] == [0.25, 1, 0.25, 1]
    assert (predictor.predicted, matting.predicted) == ([2], [2])
    assert pair.predict([image])[0].shape == (32, 544)
    assert matting.predicted == [2]


def test_it_tells_about_the_predictor_and_knows_the_matting_network() -> None:
    predictor, matting = FakePredictor(), FakeMatting()
    predictor.patch_order = PatchOrderChoice("wg_hg_c", "weights", -41.5)
    pair = PredictorWithMatting(predictor, matting)
    assert (pair.name, pair.licence, pair.device) == ("fake", "unknown", "cpu")
    assert (pair.input_size, pair.device_memory_bytes) == ((32, 544), 0)
    assert pair.patch_order is predictor.patch_order
    assert matting_of(pair) is matting
    assert matting_of(predictor) is None
    assert copy.copy(pair).name == "fake"
    with pytest.raises(AttributeError, match="dtype"):
        _ = pair.dtype


def test_the_time_of_a_warm_up_is_that_of_the_predictor_alone() -> None:
    matting = Noted()
    pair = PredictorWithMatting(FakePredictor(), matting)
    pair.load()
    assert matting.calls == ["load", "warm up"]
    pair.warm_up()
    assert matting.calls == ["load", "warm up"]
    pair.close()
    assert pair.predictor.closed  # type: ignore[attr-defined]
    assert matting.closed
