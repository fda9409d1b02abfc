import errno
import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rmbg_service.system.atomic import atomic_replace, atomic_write, remove_leftovers
from tests.processes import launched

WRITER = """
import sys
from pathlib import Path
from rmbg_service.system.atomic import atomic_replace
with atomic_replace(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half")
    print(temporary, flush=True)
    sys.stdin.readline()
    temporary.write_bytes(b"whole")
"""


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


@pytest.mark.parametrize("name", ["folder", "x" * 300])
def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=name) as caught:
        atomic_write(tmp_path / name, b"data")
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / name), None)
    assert ".part" not in str(caught.value)


def test_a_full_disk_is_one_of_the_file(tmp_path: Path) -> None:
    def fill(reason: OSError) -> None:
        with atomic_replace(tmp_path / "a.png"):
            raise reason

    with pytest.raises(OSError, match=r"a\.png"):
        fill(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OSError, match="other") as caught:
        fill(FileNotFoundError(errno.ENOENT, "No such file or directory", "other.png"))
    assert caught.value.filename == "other.png"


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


@contextmanager
def writing(path: Path) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """A process in the middle of writing `path`, until it gets a line; its temporary file."""
    with launched(["-c", WRITER, str(path)]) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())


@pytest.mark.skipif(sys.platform == "win32", reason="has no such locks")
def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(
    tmp_path: Path,
) -> None:
    with (
        writing(tmp_path / "living") as (living, half),
        writing(tmp_path / "killed") as (killed, left),
    ):
        killed.kill()
        killed.wait()
        assert left.read_bytes() == b"half"
        (tmp_path / ".other.part").write_bytes(b"of another program")

        atomic_write(tmp_path / "new", b"data")
        assert {*tmp_path.iterdir()} == {tmp_path / "new", tmp_path / ".other.part", half}

        living.communicate("\n")
        assert (tmp_path / "living").read_bytes() == b"whole"
        assert not half.exists()


def test_what_this_process_writes_is_not_removed(tmp_path: Path) -> None:
    with atomic_replace(tmp_path / "a") as temporary:
        temporary.write_bytes(b"data")
        remove_leftovers(tmp_path)
        assert temporary.exists()
    assert (tmp_path / "a").read_bytes() == b"data"


def test_without_locks_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int, __: int) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    with atomic_replace(tmp_path / "a") as temporary:
        temporary.write_bytes(b"data")
        remove_leftovers(tmp_path)
        assert temporary.exists()
    assert (tmp_path / "a").read_bytes() == b"data"


def test_a_file_that_is_removed_before_it_is_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.flock
    calls: list[int] = []

    def flock(descriptor: int, kind: int) -> None:
        if not calls:  # as another process would between the two
            (left,) = tmp_path.iterdir()
            left.unlink()
        calls.append(kind)
        real(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", flock)
    atomic_write(tmp_path / "a", b"data")
    assert (tmp_path / "a").read_bytes() == b"data"
    assert len(calls) == 2


def test_a_file_system_that_cannot_sync_folders_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    atomic_write(tmp_path / "a", b"data")
    assert (tmp_path / "a").read_bytes() == b"data"
