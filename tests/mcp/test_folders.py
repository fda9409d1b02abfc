from pathlib import Path

import pytest

from rmbg_service.errors import ConfigurationError
from rmbg_service.mcp.folders import Folders, PathRefused


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    for name in ("one", "two/deep", "out"):
        (tmp_path / name).mkdir(parents=True)
    return Folders([tmp_path / "one", tmp_path / "two"])


def test_a_path_may_be_absolute_or_begin_in_the_first_folder(
    folders: Folders, tmp_path: Path
) -> None:
    assert folders.resolve("a.png") == tmp_path / "one" / "a.png"
    assert folders.resolve(f"{tmp_path}/two/deep/a.png") == tmp_path / "two" / "deep" / "a.png"
    assert folders.resolve("../two/a.png") == tmp_path / "two" / "a.png"
    assert folders.resolve(".") == tmp_path / "one"


@pytest.mark.parametrize("text", ["/etc/passwd", "../a.png", "../onetwo/a.png", "~/a.png", "a\0b"])
def test_a_path_outside_is_refused(folders: Folders, text: str) -> None:
    with pytest.raises(PathRefused):
        folders.resolve(text)


@pytest.mark.parametrize("text", ["\ud800.png", "a/" * 2000 + "b.png"])
def test_what_cannot_be_a_path_is_refused(folders: Folders, text: str) -> None:
    with pytest.raises(PathRefused, match=r"^a path"):
        folders.resolve(text)


def test_names_that_no_message_can_hold_are_left_out(folders: Folders, tmp_path: Path) -> None:
    odd = tmp_path / "one" / "\udcff"  # one byte, which is not UTF-8
    odd.mkdir()
    (odd / "a.png").touch()
    (tmp_path / "one" / "\udcfe.png").touch()
    (tmp_path / "one" / "link").symlink_to(odd, target_is_directory=True)
    (tmp_path / "one" / "b.png").touch()
    assert folders.images(10) == [str(tmp_path / "one" / "b.png")]
    with pytest.raises(PathRefused, match=r"link/a\.png leads to a name that is not UTF-8"):
        folders.resolve("link/a.png")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        Folders([odd])


def test_no_link_leads_out_of_a_folder(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "one" / "link").symlink_to(tmp_path / "out", target_is_directory=True)
    (tmp_path / "one" / "a.png").symlink_to(tmp_path / "out" / "secret.png")
    (tmp_path / "one" / "inside.png").symlink_to(tmp_path / "two" / "b.png")
    for text in ("link/a.png", "a.png"):
        with pytest.raises(PathRefused, match="outside the folders that may be used"):
            folders.resolve(text)
    assert folders.resolve("inside.png") == tmp_path / "two" / "b.png"


def test_a_folder_may_be_a_link_itself(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    assert Folders([tmp_path / "link"]).resolve("a.png") == tmp_path / "real" / "a.png"


def test_what_is_not_a_folder_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "none"):
        with pytest.raises(ConfigurationError, match="is not a folder"):
            Folders([path])


def test_a_folder_that_is_in_another_is_listed_once(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.png").touch()
    folders = Folders([tmp_path / "a" / "b", tmp_path / "a", tmp_path / "a"])
    assert folders.images(10) == [str(tmp_path / "a" / "b" / "c.png")]
    assert folders.resolve("c.png") == tmp_path / "a" / "b" / "c.png"


def test_images_are_listed_without_links_and_hidden_files(folders: Folders, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    (one / ".hidden").mkdir()
    for path in (
        one / "b.JPG",
        one / "a.png",
        one / ".c.png",
        one / "d.txt",
        one / ".hidden/e.png",
    ):
        path.touch()
    (two / "deep" / "f.heic").touch()
    (two / "g.png").symlink_to(tmp_path / "out" / "secret.png")
    expected = [str(one / "a.png"), str(one / "b.JPG"), str(two / "deep" / "f.heic")]
    assert folders.images(10) == expected
    assert folders.images(2) == expected[:2]
