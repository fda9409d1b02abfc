"""Files read within a bound, and written whole or not at all."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rmbg_service.errors import ImageTooLarge, InvalidImage


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """The file's bytes.

    Raises `ImageTooLarge` when there are more than `max_bytes`, `InvalidImage` for what is no file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise InvalidImage("this is no ordinary file")  # reading a pipe would wait for ever
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ImageTooLarge(f"the file has more than the {max_bytes} bytes that are accepted")
    return data


def is_folder(path: str | Path) -> bool:
    """Whether it is one, or a link to one; what cannot be looked at is none."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises where that is forbidden


def place_of(path: Path) -> str:
    """The absolute path as text; links stay what they are."""
    return os.path.abspath(path)  # noqa: PTH100 - Path.resolve follows links


def digest(data: bytes) -> str:
    """SHA-256, as hexadecimal text."""
    return hashlib.sha256(data).hexdigest()


def digest_of_file(path: Path) -> str | None:
    """SHA-256 of what the file holds; None when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def write(path: Path, data: bytes) -> None:
    """Put `data` at `path`, see `replacing`."""
    with replacing(path) as part:
        part.write_bytes(data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place in the same folder to write to; `path` becomes what is there at the end.

    Whoever reads `path` sees the old file or the whole new one, also after a power cut. The place
    is hidden and the same each time, so that a killed process leaves at most one behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{digest(os.fsencode(path.name))[:16]}.part")
    try:
        yield part
        _sync(part)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # Windows cannot open folders
        _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
