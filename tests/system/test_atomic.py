import os
from pathlib import Path

import pytest

from rmbg_service.system.atomic import atomic_replace, atomic_write


def test_what_is_written_is_there_whole_with_ordinary_rights(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.png"
    atomic_write(path, b"first")
    atomic_write(path, b"second")
    assert path.read_bytes() == b"second"
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def test_until_the_end_the_old_file_stays_and_after_an_error_too(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def fail() -> None:
        with atomic_replace(path) as part:
            part.write_bytes(b"half")
            assert path.read_bytes() == b"old"
            assert part.name.startswith(".")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 251 + ".png")
    atomic_write(path, b"data")
    assert path.read_bytes() == b"data"


def test_the_bytes_are_on_the_disk_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    there: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda _: there.append(path.exists()))
    atomic_write(path, b"data")
    assert there[0] is False
    assert there[-1] is True  # the folder's entry


def test_of_several_writers_of_one_path_each_writes_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with atomic_replace(path) as first:
        first.write_bytes(b"first")
        with atomic_replace(path) as second:
            second.write_bytes(b"second")
        assert path.read_bytes() == b"second"
        assert first.read_bytes() == b"first"
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]
