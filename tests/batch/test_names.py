from pathlib import Path

from rmbg_service.batch.inputs import Found
from rmbg_service.batch.names import Names


def outputs(names: Names, *paths: Path) -> list[str]:
    return [names.output_of(Found(path, Path(path.name))).name for path in paths]


def test_equal_stems_get_different_outputs_and_keep_them(tmp_path: Path) -> None:
    names = Names(tmp_path / "out", ".png", {})
    pictures = [tmp_path / name for name in ("a.jpg", "a.png", "a.png.bmp", "A.gif")]
    wanted = ["a.png", "a.png.png", "a.png.bmp.png", "A.gif.png"]
    assert outputs(names, *pictures) == wanted
    assert outputs(names, *pictures) == wanted


def test_equal_names_from_two_places_are_numbered(tmp_path: Path) -> None:
    names = Names(tmp_path / "out", ".png", {})
    pictures = [tmp_path / folder / "a.jpg" for folder in "xyz"]
    assert outputs(names, *pictures) == ["a.png", "a.jpg.png", "a.jpg-2.png"]


def test_an_output_of_an_earlier_run_stays_with_its_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    names = Names(tmp_path / "out", ".png", {"a.png": str(tmp_path / "a.png")})
    assert outputs(names, tmp_path / "a.jpg", tmp_path / "a.png") == ["a.jpg.png", "a.png"]


def test_an_output_whose_picture_is_gone_is_free(tmp_path: Path) -> None:
    names = Names(tmp_path / "out", ".png", {"a.png": str(tmp_path / "moved" / "a.jpg")})
    assert outputs(names, tmp_path / "a.jpg") == ["a.png"]


def test_an_input_is_never_an_output(tmp_path: Path) -> None:
    pictures = [tmp_path / "a.jpg", tmp_path / "a.png"]
    names = Names(tmp_path, ".png", {}, pictures)
    assert outputs(names, *pictures) == ["a.jpg.png", "a.png.png"]


def test_folders_are_kept(tmp_path: Path) -> None:
    names = Names(tmp_path, ".webp", {})
    found = Found(tmp_path / "in" / "x.y" / "a.b.jpg", Path("x.y/a.b.jpg"))
    assert names.output_of(found) == tmp_path / "x.y" / "a.b.webp"
