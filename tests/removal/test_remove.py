from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rmbg_service import Cutout, remove_background
from rmbg_service.errors import ImageTooLarge, InvalidImage
from rmbg_service.removal.remove import ImageInput
from tests.fakes import FakePredictor, picture_bytes
from tests.icc import grey_profile

PNG = picture_bytes()


def test_bytes_path_picture_and_array_give_the_same_cutout(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(PNG)
    image = Image.open(path)
    forms: list[ImageInput] = [PNG, path, str(path), image, np.asarray(image)]
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
    "given",
    [
        np.zeros((4, 4, 3)),
        np.zeros((4,), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        [[1, 2], [3, 4]],
        None,
        Image.new("RGB", (0, 4)),
    ],
)
def test_what_is_not_an_image_is_refused(given: Any) -> None:
    with pytest.raises(InvalidImage):
        remove_background(given, predictor=FakePredictor())


def test_the_bound_on_pixels_holds_here_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMBG_MAX_IMAGE_PIXELS", "100")
    for form in (PNG, np.zeros((48, 64, 3), np.uint8)):
        with pytest.raises(ImageTooLarge):
            remove_background(form, predictor=FakePredictor())


def test_the_bound_on_a_side_holds_here_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMBG_MAX_IMAGE_SIDE", "60")
    for form in (PNG, Image.new("RGB", (64, 48)), np.zeros((48, 64, 3), np.uint8)):
        with pytest.raises(ImageTooLarge, match="64 x 48 pixels; a side may have at most 60"):
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
def test_options_about_the_file_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="need a file to be written"):
        remove_background(np.zeros((8, 8, 3), np.uint8), predictor=FakePredictor(), **given)


def test_a_matte_of_ones_own_needs_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rmbg_service.removal.remove.select_predictor", lambda _: 1 / 0)
    matte = np.zeros((48, 64), np.uint8)
    matte[:, 20:] = 200
    strokes = np.zeros((24, 32, 4), np.uint8)
    strokes[4:20, 24:30] = (0, 0, 0, 255)
    cutout = remove_background(PNG, matte=matte, strokes=strokes, strokes_mode="exact")
    assert (cutout.alpha[:, :40] == matte[:, :40]).all()
    assert (cutout.alpha[10:38, 50:58] == 0).all()
    smart = remove_background(PNG, matte=Image.fromarray(matte), strokes=strokes)
    assert (smart.alpha[10:38, 50:58] < 10).all()


def test_a_matte_is_values_and_not_colours() -> None:
    matte = Image.linear_gradient("L").resize((64, 48))
    buffer = BytesIO()
    matte.save(buffer, "PNG", icc_profile=grey_profile())
    plain = remove_background(PNG, matte=matte).alpha
    assert (remove_background(PNG, matte=buffer.getvalue()).alpha == plain).all()
    tagged = Image.open(BytesIO(buffer.getvalue()))
    assert (remove_background(PNG, matte=tagged).alpha == plain).all()


def test_what_comes_with_a_picture_is_checked() -> None:
    with pytest.raises(InvalidImage, match="the matte: expected the proportions"):
        remove_background(PNG, matte=np.zeros((40, 20), np.uint8))
    with pytest.raises(InvalidImage, match="the strokes: expected strokes on a transparent"):
        remove_background(PNG, matte=PNG, strokes=PNG)
    with pytest.raises(ValueError, match="strokes_mode needs strokes"):
        remove_background(PNG, matte=PNG, strokes_mode="exact")


def test_save_writes_png_and_nothing_else(tmp_path: Path) -> None:
    cutout = remove_background(np.zeros((8, 8, 3), np.uint8), predictor=FakePredictor())
    cutout.save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="PNG"):
        cutout.save(tmp_path / "a.webp")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def badge(colour: int, hidden: tuple[int, int, int], side: int = 300) -> tuple[ImageInput, Any]:
    """A disc of one grey with a smooth edge, another colour under alpha 0; and its alpha."""
    y, x = np.mgrid[0:side, 0:side]
    alpha = np.clip(side / 3 - np.hypot(x - side / 2, y - side / 2), 0, 1)
    alpha = (alpha * 255).astype(np.uint8)
    rgba = np.full((side, side, 4), (*hidden, 0), np.uint8)
    rgba[alpha > 0, :3] = colour
    rgba[..., 3] = alpha
    return rgba, alpha


@pytest.mark.parametrize("colour", [0, 255])
@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 255, 255), (0, 255, 0)])
def test_what_is_hidden_under_alpha_0_does_not_hide_the_subject(
    colour: int, hidden: tuple[int, int, int]
) -> None:
    rgba, alpha = badge(colour, hidden)
    cutout = remove_background(rgba)
    assert np.abs(cutout.alpha.astype(int) - alpha).mean() < 1
    assert (cutout.rgb[cutout.alpha > 0] == colour).all()


@pytest.mark.parametrize("decontaminate", [True, False])
@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 255, 255), (0, 255, 0)])
def test_colours_that_are_straight_already_are_not_unmixed_with_hidden_ones(
    decontaminate: bool, hidden: tuple[int, int, int]
) -> None:
    rgba, alpha = badge(128, hidden, side=600)
    predictor = FakePredictor()
    predictor.input_size = alpha.shape
    predictor.predict = lambda batch: [alpha.astype(np.float32) / 255]  # type: ignore[method-assign]
    cutout = remove_background(rgba, predictor=predictor, decontaminate=decontaminate)
    assert cutout.alpha.max() == 255
    assert (cutout.rgb[cutout.alpha > 0] == 128).all()


def test_a_photo_with_a_transparent_corner_is_unmixed_elsewhere() -> None:
    rgba = np.full((64, 320, 4), (0, 0, 0, 255), np.uint8)
    share = np.clip((np.arange(320) - 150) / 20, 0, 1)
    rgba[..., :3] = (share * 200 + (1 - share) * 40)[None, :, None]
    rgba[:4, -4:, 3] = 0
    predictor = FakePredictor()
    matte = np.repeat(share[None].astype(np.float32), 64, 0)
    predictor.input_size = (64, 320)
    predictor.predict = lambda batch: [matte]  # type: ignore[method-assign]
    cutout = remove_background(rgba, predictor=predictor, detail="off")
    assert np.abs(cutout.rgb[30, 154:].astype(int) - 200).max() < 20


def test_a_wrong_option_is_told_in_words() -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match=r"^detail: must be 'auto', .*; roi: a region is four"):
        remove_background(picture, predictor=FakePredictor(), detail="much", roi="1px")
