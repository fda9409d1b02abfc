import errno
import os
from pathlib import Path

import pytest

from rmbg_service.batch.inputs import InputImage, UnreadableInput, find_inputs


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(tmp_path: Path, *inputs: str | Path, out: str = "out") -> list[str]:
    found = list(find_inputs([str(i) for i in inputs], tmp_path / out))
    assert all(isinstance(one, InputImage) for one in found), found
    return [one.name.as_posix() for one in found if isinstance(one, InputImage)]


def test_a_folder_is_mirrored_and_only_its_visible_pictures_count(tmp_path: Path) -> None:
    touch(*(tmp_path / "in" / name for name in ("b.jpg", "a.PNG", "deep/er/c.heic")))
    touch(*(tmp_path / "in" / name for name in ("notes.txt", ".hidden.jpg", ".thumbs/d.jpg")))
    assert names(tmp_path, tmp_path / "in") == ["a.PNG", "b.jpg", "deep/er/c.heic"]


def test_a_file_is_taken_whatever_its_suffix_and_each_file_once(tmp_path: Path) -> None:
    touch(tmp_path / "photo.data", tmp_path / "in" / "a.jpg")
    again = tmp_path / "in" / ".." / "in" / "a.jpg"
    found = names(tmp_path, tmp_path / "photo.data", tmp_path / "in", again)
    assert found == ["photo.data", "a.jpg"]


def test_several_folders_keep_their_names(tmp_path: Path) -> None:
    touch(tmp_path / "x" / "1.jpg", tmp_path / "y" / "1.jpg")
    assert names(tmp_path, tmp_path / "x", tmp_path / "y") == ["x/1.jpg", "y/1.jpg"]


def test_patterns_that_the_shell_left_alone(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("a.jpg", "b.png", "deep/c.jpg")))
    assert names(tmp_path, tmp_path / "*.jpg") == ["a.jpg"]
    assert names(tmp_path, tmp_path / "**" / "*.jpg") == ["a.jpg", "c.jpg"]


def test_a_pattern_does_not_take_what_an_earlier_run_made(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "out" / "a.jpg", tmp_path / "out" / "deep" / "b.jpg")
    assert names(tmp_path, tmp_path / "**" / "*.jpg") == ["a.jpg"]


def test_a_name_with_brackets_is_a_name_first(tmp_path: Path) -> None:
    touch(tmp_path / "photo[1].jpg", tmp_path / "photo1.jpg")
    assert names(tmp_path, tmp_path / "photo[1].jpg") == ["photo[1].jpg"]


def test_the_output_folder_is_no_input(tmp_path: Path) -> None:
    touch(tmp_path / "in" / "a.jpg", tmp_path / "in" / "out" / "a.png")
    assert names(tmp_path, tmp_path / "in", out="in/out") == ["a.jpg"]


def test_links_to_folders_are_not_followed_links_to_pictures_are(tmp_path: Path) -> None:
    touch(tmp_path / "in" / "a.jpg", tmp_path / "elsewhere.jpg")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "link.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    assert names(tmp_path, tmp_path / "in") == ["a.jpg", "link.jpg"]


def test_what_is_not_there_is_told_in_its_place(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    found = list(
        find_inputs([str(tmp_path / "no*.jpg"), str(tmp_path / "a.jpg")], tmp_path / "out")
    )
    assert [type(one) for one in found] == [UnreadableInput, InputImage]


def test_what_cannot_be_looked_at_is_not_called_missing(tmp_path: Path) -> None:
    (found,) = find_inputs([str(tmp_path / ("a" * 300))], tmp_path / "out")
    assert isinstance(found, UnreadableInput)
    assert found.reason == os.strerror(errno.ENAMETOOLONG)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_read_is_told_and_the_rest_found(tmp_path: Path) -> None:
    touch(tmp_path / "in" / "a.jpg", tmp_path / "in" / "locked" / "b.jpg")
    (tmp_path / "in" / "locked").chmod(0)
    try:
        found = list(find_inputs([str(tmp_path / "in")], tmp_path / "out"))
    finally:
        (tmp_path / "in" / "locked").chmod(0o700)
    assert isinstance(found[0], InputImage)
    assert isinstance(found[1], UnreadableInput)
    assert found[1].path == tmp_path / "in" / "locked"


def test_an_error_of_the_walk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(path: object) -> None:
        raise PermissionError(13, "Permission denied", os.fspath(path))  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", scandir)
    (found,) = find_inputs([str(tmp_path)], tmp_path / "out")
    assert found == UnreadableInput(tmp_path, "Permission denied")


def test_a_link_to_itself_is_an_input_that_fails_by_itself(tmp_path: Path) -> None:
    touch(tmp_path / "in" / "a.jpg")
    (tmp_path / "in" / "loop.jpg").symlink_to("loop.jpg")
    assert names(tmp_path, tmp_path / "in") == ["a.jpg", "loop.jpg"]
    assert names(tmp_path, tmp_path / "in" / "*.jpg") == ["a.jpg", "loop.jpg"]
    assert names(tmp_path, tmp_path / "in" / "loop.jpg") == ["loop.jpg"]


def test_the_output_folder_may_be_a_link_to_itself(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    (tmp_path / "out").symlink_to("out")
    assert names(tmp_path, tmp_path / "a.jpg") == ["a.jpg"]


@pytest.mark.parametrize("name", ["_DSC1.HIF", "a.hif", "a.heics", "a.MPO", "a.apng", "a.dib"])
def test_less_common_names_of_accepted_formats_are_found(tmp_path: Path, name: str) -> None:
    touch(tmp_path / "in" / name)
    assert names(tmp_path, tmp_path / "in") == [name]
