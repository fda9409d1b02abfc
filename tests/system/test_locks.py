import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from rmbg_service.system.locks import FolderLock

HOLD = "import sys, time; from pathlib import Path; "
HOLD += "from rmbg_service.system.locks import FolderLock; "
HOLD += "lock = FolderLock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"


def test_a_folder_is_made_and_held_by_one_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    held = FolderLock(folder)
    (folder / "file").write_bytes(b"others may write")
    with pytest.raises(BlockingIOError):
        FolderLock(folder)
    held.close()
    FolderLock(folder).close()


def test_the_end_of_a_process_is_the_end_of_its_lock(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError):
            FolderLock(tmp_path)
        process.kill()
        process.wait()
        FolderLock(tmp_path).close()


def test_without_locks_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int, __: int) -> None:
        raise OSError("no locks here")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match="no locks here"):
        FolderLock(tmp_path)
