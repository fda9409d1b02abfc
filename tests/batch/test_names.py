"""Names of outputs: no two share one, and they stay the same from run to run."""

from pathlib import Path

import pytest

from rmbg_service.batch.inputs import InputImage
from rmbg_service.batch.names import OutputPaths, Variant

PNG = Variant("", ".png", "")


def outputs(paths: OutputPaths, *images: Path) -> list[str]:
    return [paths.output_of(InputImage(path, Path(path.name)), PNG).name for path in images]


def test_equal_stems_get_different_outputs_and_keep_them(tmp_path: Path) -> None:
    paths = OutputPaths(tmp_path / "out", {})
    pictures = [tmp_path / name for name in ("a.jpg", "a.png", "a.png.bmp", "A.gif")]
    wanted = ["a.png", "a.png.png", "a.png.bmp.png", "A.gif.png"]
    assert outputs(paths, *pictures) == wanted
    assert outputs(paths, *pictures) == wanted


def test_equal_names_from_two_places_are_numbered(tmp_path: Path) -> None:
    paths = OutputPaths(tmp_path / "out", {})
    pictures = [tmp_path / folder / "a.jpg" for folder in "xyz"]
    assert outputs(paths, *pictures) == ["a.png", "a.jpg.png", "a.jpg-2.png"]


def test_an_output_of_an_earlier_run_stays_with_its_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    paths = OutputPaths(tmp_path / "out", {"a.png": str(tmp_path / "a.png")})
    assert outputs(paths, tmp_path / "a.jpg", tmp_path / "a.png") == ["a.jpg.png", "a.png"]


def test_an_output_whose_picture_is_gone_is_free(tmp_path: Path) -> None:
    paths = OutputPaths(tmp_path / "out", {"a.png": str(tmp_path / "moved" / "a.jpg")})
    assert outputs(paths, tmp_path / "a.jpg") == ["a.png"]


def test_an_input_is_never_an_output(tmp_path: Path) -> None:
    pictures = [tmp_path / "a.jpg", tmp_path / "a.png"]
    paths = OutputPaths(tmp_path, {}, pictures)
    assert outputs(paths, *pictures) == ["a.jpg.png", "a.png.png"]


def test_folders_are_kept(tmp_path: Path) -> None:
    paths = OutputPaths(tmp_path, {})
    image = InputImage(tmp_path / "in" / "x.y" / "a.b.jpg", Path("x.y/a.b.jpg"))
    webp = Variant("", ".webp", "")
    assert paths.output_of(image, webp) == tmp_path / "x.y" / "a.b.webp"


def test_links_to_themselves_get_outputs_like_other_files(tmp_path: Path) -> None:
    loop = tmp_path / "loop.jpg"
    loop.symlink_to("loop.jpg")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "loop.png").symlink_to("loop.png")
    assert outputs(OutputPaths(tmp_path / "out", {}, [loop]), loop) == ["loop.png"]


FOREST = Path("forest.jpg")
IN_FOREST = Path("forest.png", "b.jpg")


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        ([FOREST, IN_FOREST], ["forest.png", "forest.png-2/b.png"]),
        ([IN_FOREST, FOREST], ["forest.png/b.png", "forest.jpg.png"]),
    ],
)
def test_a_folder_named_like_an_output_does_not_collide_with_it(
    tmp_path: Path, order: list[Path], wanted: list[str]
) -> None:
    out = tmp_path / "out"
    images = [InputImage(tmp_path / "in" / name, name) for name in order]
    for image in images:
        image.path.parent.mkdir(parents=True, exist_ok=True)
        image.path.touch()
    paths = OutputPaths(out, {})
    assert [paths.output_of(image, PNG).relative_to(out).as_posix() for image in images] == wanted
    owners = {}
    for image in images:
        output = paths.output_of(image, PNG)
        output.parent.mkdir(parents=True, exist_ok=True)
        output.touch()
        owners[output.relative_to(out).as_posix()] = str(image.path)
    for again in (images, images[::-1]):
        later = OutputPaths(out, owners)
        found = {later.output_of(image, PNG).relative_to(out).as_posix() for image in again}
        assert found == set(wanted), "a later run keeps the paths"


def test_a_file_in_the_output_folder_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "shoes").touch()
    paths = OutputPaths(tmp_path, {})
    image = InputImage(tmp_path / "in" / "shoes" / "a.jpg", Path("shoes/a.jpg"))
    assert paths.output_of(image, PNG) == tmp_path / "shoes-2" / "a.png"


def test_a_template_names_the_cutouts_and_no_two_share_one(tmp_path: Path) -> None:
    paths = OutputPaths(tmp_path / "out", {}, template="{preset}/{stem}.{ext}")
    variants = [Variant("ebay", ".jpg", ""), Variant("etsy", ".webp", "")]
    images = [InputImage(tmp_path / name, Path("sea", name)) for name in ("a.jpg", "a.png")]
    made = [paths.output_of(image, variant) for image in images for variant in variants]
    assert [path.relative_to(tmp_path / "out").as_posix() for path in made] == [
        "sea/ebay/a.jpg",
        "sea/etsy/a.webp",
        "sea/ebay/a.png.jpg",
        "sea/etsy/a.png.webp",
    ]
    assert paths.output_of(images[1], variants[0]) == made[2]
