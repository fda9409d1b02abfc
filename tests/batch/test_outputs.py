from pathlib import Path

import pytest

from rmbg_service.batch.outputs import DEFAULT_FOLDER, Target, target_of
from rmbg_service.errors import ConfigurationError


def test_a_name_with_a_suffix_is_a_file_and_says_the_format(tmp_path: Path) -> None:
    assert target_of(["a.jpg"], Path("b.png"), None) == Target(Path("b.png"), True, "png")
    assert target_of(["a.jpg"], Path("b.JPEG"), None).format == "jpeg"
    assert target_of(["-"], Path("b.zip"), None).format == "zip"
    assert target_of(["-"], Path("b.psd"), None).format == "psd"
    assert target_of(["a.jpg"], Path("b.webp"), "webp-lossy").format == "webp-lossy"


def test_everything_else_is_a_folder(tmp_path: Path) -> None:
    dotted = tmp_path / "v1.0"
    dotted.mkdir()
    assert target_of(["a.jpg"], None, None) == Target(DEFAULT_FOLDER, False)
    assert not target_of(["a.jpg"], Path("cut"), "webp").is_file
    assert not target_of(["a.jpg"], dotted, None).is_file
    assert not target_of(["a.jpg", "b.jpg"], Path("v1.0"), None).is_file
    assert not target_of([str(tmp_path)], Path("v1.0"), None).is_file
    assert not target_of(["*.jpg"], Path("v1.0"), None).is_file


@pytest.mark.parametrize(
    ("out", "format_", "says"),
    [("b.tiff", None, r"\.avif, \.jpg, \.png"), ("b.png", "jpeg", "does not fit --format jpeg")],
)
def test_suffixes_that_cannot_be(out: str, format_: str | None, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        target_of(["a.jpg"], Path(out), format_)


@pytest.mark.parametrize("name", ["b.png", "folder", "sub/folder"])
def test_a_path_below_a_file_is_refused_before_any_work(tmp_path: Path, name: str) -> None:
    photo = tmp_path / "a.jpg"
    photo.touch()
    with pytest.raises(ConfigurationError, match=r"a\.jpg is a file; expected a folder"):
        target_of([str(photo)], photo / name, None)


def test_layers_are_a_zip_whatever_the_format() -> None:
    assert target_of(["a.jpg"], Path("b.ZIP"), None, "layers").is_file
    for out in ("b.png", "b.webp"):
        with pytest.raises(ConfigurationError, match=r"ends in \.zip"):
            target_of(["a.jpg"], Path(out), None, "layers")


def test_outputs_are_not_put_among_the_inputs_or_below_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is an input"):
        target_of([str(tmp_path)], tmp_path / ".", None)
    for inputs in (["a.jpg", "b.jpg"], [str(tmp_path)], ["*.jpg"]):
        with pytest.raises(ConfigurationError, match="is a file"):
            target_of(inputs, Path("b.PNG"), None)
    file = tmp_path / "cutouts"
    file.touch()
    with pytest.raises(ConfigurationError, match="is a file"):
        target_of(["a.jpg", "b.jpg"], file, None)
