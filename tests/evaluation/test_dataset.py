from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rmbg_service.errors import ConfigurationError
from rmbg_service.evaluation.dataset import load_matte, load_rgb, read_dataset

HEADER = "file,alpha,shadow_mask,tags,gt_kind,tolerance_px,salient_unambiguous\n"


def save(path: Path, mode: str = "L") -> None:
    path.parent.mkdir(exist_ok=True)
    Image.new(mode, (4, 3)).save(path)


def test_manifest(tmp_path: Path) -> None:
    for name in ("p/a.png", "p/a_alpha.png", "p/a_shadow.png", "p/b.png", "p/g.png"):
        save(tmp_path / name)
    (tmp_path / "manifest.csv").write_text(
        HEADER
        + "p/a.png,p/a_alpha.png,p/a_shadow.png,hair large,binary,,no\n"
        + "p/b.png,p/g.png,,translucent,binary,3,yes\n"
    )
    first, second = read_dataset(tmp_path)
    assert (first.id, first.tolerance_px, first.edge_level) == ("a", 2, 0.5)
    assert first.tags == {"hair", "large"}
    assert first.shadow == tmp_path / "p/a_shadow.png"
    assert not first.unambiguous
    assert (second.id, second.tolerance_px, second.edge_level) == ("b", 3, 0.1)
    assert second.shadow is None
    assert second.unambiguous


def test_folders_with_equal_names(tmp_path: Path) -> None:
    for name in ("images/b.jpg", "images/a.png", "alphas/a.png", "alphas/b.png"):
        save(tmp_path / name)
    (tmp_path / "images/notes.txt").write_text("no picture")
    samples = read_dataset(tmp_path)
    assert [s.id for s in samples] == ["a", "b"]
    assert samples[1].alpha == tmp_path / "alphas/b.png"
    assert samples[0].tolerance_px == 1


def test_folders_take_every_picture_that_the_service_takes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("images/a.HEIC", "images/b.gif", "alphas/a.png", "alphas/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (4, 3)).save(tmp_path / name)
    assert [sample.id for sample in read_dataset(tmp_path)] == ["a", "b"]
    assert load_rgb(tmp_path / "images/a.HEIC").shape == (3, 4, 3)
    assert caplog.messages == []


def test_truths_without_a_photo_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("images/a.png", "alphas/a.png", "alphas/c.png", "alphas/b.png"):
        save(tmp_path / name)
    (tmp_path / "alphas/notes.txt").touch()
    assert [sample.id for sample in read_dataset(tmp_path)] == ["a"]
    assert caplog.messages == [f"{tmp_path}: no photo in images/ for b, c"]


@pytest.mark.parametrize(("text", "unambiguous"), [("No", False), (" no ", False), ("", True)])
def test_ambiguous_is_what_says_no(tmp_path: Path, text: str, unambiguous: bool) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "manifest.csv").write_text(HEADER + f"a.png,a.png,,,,,{text}\n")
    (sample,) = read_dataset(tmp_path)
    assert sample.unambiguous is unambiguous


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        (None, "expected manifest.csv"),
        ("file\na.png\n", "no column alpha"),
        ("file,alpha\n", "has no photos"),
        ("file,alpha\na.png,b.png\n", "missing file"),
        ("file,alpha,gt_kind\na.png,a.png,guess\n", "gt_kind 'guess'"),
        ("file,alpha,tolerance_px\na.png,a.png,few\n", "tolerance_px 'few'"),
    ],
)
def test_a_broken_dataset_is_refused(tmp_path: Path, manifest: str | None, says: str) -> None:
    save(tmp_path / "a.png")
    if manifest is not None:
        (tmp_path / "manifest.csv").write_text(manifest)
    with pytest.raises(ConfigurationError, match=says):
        read_dataset(tmp_path)


def test_a_folder_that_is_missing_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="none is not a folder"):
        read_dataset(tmp_path / "none")


def test_hidden_files_are_no_photos(tmp_path: Path) -> None:
    for name in ("images/a.png", "images/._a.png", "alphas/a.png", "alphas/._b.png"):
        save(tmp_path / name)
    assert [sample.id for sample in read_dataset(tmp_path)] == ["a"]


def test_a_picture_without_its_alpha_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "images/a.png")
    (tmp_path / "alphas").mkdir()
    with pytest.raises(ConfigurationError, match=r"for images/a\.png"):
        read_dataset(tmp_path)


def test_load_matte_of_each_form(tmp_path: Path) -> None:
    grey = np.array([[0, 51, 255]], np.uint8)
    expected = [[0, 0.2, 1]]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "grey16.png")
    Image.fromarray(np.dstack([grey * 0 + 9] * 3 + [grey])).save(tmp_path / "rgba.png")
    for name in ("grey.png", "grey16.png", "rgba.png"):
        matte = load_matte(tmp_path / name)
        assert matte.dtype == np.float32
        np.testing.assert_allclose(matte, expected, atol=1e-6)


def test_load_rgb_obeys_the_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 2), (200, 10, 10)).save(tmp_path / "a.jpg", exif=exif)
    assert load_rgb(tmp_path / "a.jpg").shape == (4, 2, 3)


def test_a_table_as_spreadsheets_save_it(tmp_path: Path) -> None:
    for name in ("a.jpg", "m.png"):
        Image.new("L", (4, 3)).save(tmp_path / name)
    table = tmp_path / "manifest.csv"
    table.write_text("\ufefffile,alpha\r\na.jpg,m.png\r\n", "utf-8")
    assert [sample.id for sample in read_dataset(tmp_path)] == ["a"]
    for broken in ("file,alpha\na.jpg\n", "file,alpha\n,m.png\n"):
        table.write_text(broken)
        with pytest.raises(ConfigurationError):
            read_dataset(tmp_path)
    table.write_bytes("file,alpha,tags\na.jpg,m.png,café\n".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="UTF-8"):
        read_dataset(tmp_path)


def test_mattes_of_every_kind_of_file(tmp_path: Path) -> None:
    alpha = np.array([[0, 64, 255]], np.uint8)
    rgba = np.dstack([np.full_like(alpha, 200)] * 3 + [alpha])
    path = tmp_path / "m"
    palette = Image.fromarray(rgba, "RGBA").quantize(8)
    for image, kind in (
        (Image.fromarray(alpha), "PNG"),
        (Image.fromarray(rgba), "PNG"),
        (palette, "PNG"),
        (Image.fromarray((alpha / np.float32(255)).astype(np.float32)), "TIFF"),
        (Image.fromarray(alpha.astype(np.uint16) * 257), "PNG"),
    ):
        image.save(path, kind)
        np.testing.assert_allclose(load_matte(path), alpha / 255, atol=0.01)
