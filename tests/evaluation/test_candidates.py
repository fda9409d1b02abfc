import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rmbg_service.errors import ConfigurationError
from rmbg_service.evaluation.candidates import prediction_folder, timed
from rmbg_service.evaluation.run import run
from rmbg_service.imaging.cutout import Cutout
from tests.evaluation.data import make_dataset


def test_grey_and_rgba_predictions_are_judged_alike(tmp_path: Path) -> None:
    samples = make_dataset(tmp_path)[:2]
    ready = tmp_path / "ready"
    ready.mkdir()
    with Image.open(samples[0].alpha) as grey:
        grey.save(ready / "p0.png")
    with Image.open(samples[1].alpha) as grey:
        rgba = Image.merge("RGBA", [Image.new("L", grey.size, 77)] * 3 + [grey.convert("L")])
        rgba.save(ready / "p1.png")
    outcome = run(prediction_folder("ready", ready), samples, tmp_path / "out")
    assert [record.values["iou"] for record in outcome.records] == [1, 1]
    assert math.isnan(outcome.records[0].values["seconds"])


def test_a_prediction_that_is_missing_is_a_failure_until_it_is_there(tmp_path: Path) -> None:
    samples = make_dataset(tmp_path)
    ready = tmp_path / "ready"
    ready.mkdir()
    candidate = prediction_folder("ready", ready)
    outcome = run(candidate, samples, tmp_path / "out")
    assert [failure.id for failure in outcome.failures] == ["p0", "p1", "p2"]
    assert "no prediction" in outcome.failures[0].error
    for sample in samples:
        (ready / f"{sample.id}.png").write_bytes(sample.alpha.read_bytes())
    assert not run(candidate, samples, tmp_path / "out").failures


def test_a_changed_prediction_is_judged_again(tmp_path: Path) -> None:
    samples = make_dataset(tmp_path)[:1]
    ready = tmp_path / "ready"
    ready.mkdir()
    (ready / "p0.png").write_bytes(samples[0].alpha.read_bytes())
    candidate = prediction_folder("ready", ready)
    run(candidate, samples, tmp_path / "out")
    (ready / "p0.png").write_bytes((tmp_path / "p2_alpha.png").read_bytes())
    (record,) = run(candidate, samples, tmp_path / "out").records
    assert record.values["iou"] < 0.9


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a folder"):
        prediction_folder("x", tmp_path / "x")


def test_a_cutout_becomes_a_matte_and_its_time(tmp_path: Path) -> None:
    sample = make_dataset(tmp_path)[0]
    asked = []

    def remove(path: Path) -> Cutout:
        asked.append(path)
        return Cutout(np.zeros((2, 3, 3), np.uint8), np.full((2, 3), 51, np.uint8))

    prediction = timed(remove)(sample)
    assert asked == [sample.image]
    np.testing.assert_allclose(prediction.matte, np.full((2, 3), 0.2), atol=1e-6)
    assert prediction.matte.dtype == np.float32
    assert prediction.seconds > 0
