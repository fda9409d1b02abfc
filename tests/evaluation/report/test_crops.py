import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rmbg_service.evaluation.dataset import Sample, load_matte
from rmbg_service.evaluation.report.crops import CROP_PX, error_map, sample_crops, worst_box
from rmbg_service.types import Matte
from tests.evaluation.data import disc, make_dataset

SAMPLE = Sample("a", Path("a.png"), Path("a_alpha.png"))


@pytest.fixture
def truth() -> Matte:
    return disc(400, (1000, 1200))


def test_the_crop_shows_the_spoilt_edge(truth: Matte) -> None:
    dented = truth.copy()
    dented[480:520, 180:240] = 0  # at the left end of the disc
    box = worst_box(dented, truth, SAMPLE)
    assert (box.width, box.height) == (CROP_PX, CROP_PX)
    middle_x, middle_y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    assert abs(middle_x - 200) < 60
    assert abs(middle_y - 500) < 20


def test_without_a_spoilt_edge_it_shows_the_error_far_away(truth: Matte) -> None:
    speck = truth.copy()
    speck[10:30, 1150:1170] = 1
    box = worst_box(speck, truth, SAMPLE)
    assert box.right > 1160
    assert box.top < 20


def test_a_small_picture_is_shown_whole() -> None:
    matte = disc(30)
    box = worst_box(1 - matte, matte, SAMPLE)
    assert box == (0, 0, 160, 120)


def test_the_error_map_tells_too_much_from_too_little() -> None:
    rgb = np.full((1, 3, 3), 100, np.uint8)
    prediction = np.array([[1, 0, 1]], np.float32)
    truth = np.array([[0, 1, 1]], np.float32)
    extra, missing, right = error_map(rgb, prediction, truth)[0].astype(int)
    assert extra[0] > extra[2] + 100
    assert missing[2] > missing[0] + 100
    assert len(set(right.tolist())) == 1


def test_a_view_holds_pictures_of_the_crop(tmp_path: Path) -> None:
    sample = make_dataset(tmp_path)[0]
    matte = load_matte(sample.alpha)
    shown = sample_crops(sample, {"one": matte, "two": 1 - matte})
    assert list(shown.predictions) == ["one", "two"]
    pictures = [shown.whole, shown.image, shown.truth]
    for prediction in shown.predictions.values():
        pictures += [prediction.matte, prediction.error]
    for uri in pictures:
        kind, data = uri.split(",")
        assert kind == "data:image/webp;base64"
        with Image.open(BytesIO(base64.b64decode(data))) as picture:
            assert picture.width / picture.height == pytest.approx(160 / 120, rel=0.02)
