from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rmbg_service import Cutout, remove_background
from rmbg_service.errors import ImageTooLarge, InvalidImage
from rmbg_service.removal import Picture
from tests.fakes import FakePredictor, picture_bytes

PNG = picture_bytes()


def test_bytes_path_picture_and_array_give_the_same_cutout(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(PNG)
    image = Image.open(path)
    forms: list[Picture] = [PNG, path, str(path), image, np.asarray(image)]
    for form in forms:
        cutout = remove_background(form, predictor=FakePredictor())
        assert isinstance(cutout, Cutout)
        assert cutout.size == (64, 48)
        assert (cutout.alpha[:, :24] == 255).all()
        assert (cutout.alpha[:, 40:] == 0).all()
        assert (cutout.rgb[:, :24] == np.asarray(image)[:, :24]).all()


def test_the_cutout_is_saved_and_shown_without_what_was_removed(tmp_path: Path) -> None:
    cutout = remove_background(PNG, predictor=FakePredictor())
    cutout.save(tmp_path / "cutout.png")
    rgba = np.asarray(cutout.to_pil())
    assert rgba.shape == (48, 64, 4)
    assert (rgba[:, 40:] == 0).all()
    assert (np.asarray(Image.open(tmp_path / "cutout.png")) == rgba).all()


def test_grey_and_transparent_arrays() -> None:
    assert remove_background(np.zeros((8, 9), np.uint8), predictor=FakePredictor()).size == (9, 8)
    rgba = np.full((8, 8, 4), 100, np.uint8)
    assert (remove_background(rgba, predictor=FakePredictor()).alpha[:, :2] == 100).all()


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4, 3)), np.zeros((4,), np.uint8), np.zeros((4, 4, 2), np.uint8)]
)
def test_other_arrays_are_refused(array: Picture) -> None:
    with pytest.raises(InvalidImage):
        remove_background(array, predictor=FakePredictor())


def test_the_bound_on_pixels_holds_here_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMBG_MAX_IMAGE_PIXELS", "100")
    for form in (PNG, np.zeros((48, 64, 3), np.uint8)):
        with pytest.raises(ImageTooLarge):
            remove_background(form, predictor=FakePredictor())


def test_by_default_the_embedded_model_is_loaded_once_and_used() -> None:
    y, x = np.mgrid[0:300, 0:400]
    disc = (x - 200) ** 2 + (y - 150) ** 2 < 80**2
    picture = np.where(disc[..., None], (230, 60, 40), (90, 110, 120)).astype(np.uint8)
    for _ in range(2):
        alpha = remove_background(picture).alpha
        assert alpha[disc].mean() > 230
        assert alpha[~disc].mean() < 15


@pytest.mark.parametrize("level", [0, 128, 255])
def test_in_a_plain_picture_the_embedded_model_finds_nothing(level: int) -> None:
    cutout = remove_background(np.full((300, 400, 3), level, np.uint8))
    assert cutout.alpha.max() == 0
    assert cutout.box is None


@pytest.mark.parametrize(
    "given", [{"crop": True}, {"format": "webp"}, {"background": "red"}, {"output": "layers"}]
)
def test_options_about_the_file_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="need a file to be written"):
        remove_background(np.zeros((8, 8, 3), np.uint8), predictor=FakePredictor(), **given)


def test_save_writes_png_and_nothing_else(tmp_path: Path) -> None:
    cutout = remove_background(np.zeros((8, 8, 3), np.uint8), predictor=FakePredictor())
    cutout.save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="PNG"):
        cutout.save(tmp_path / "a.webp")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
