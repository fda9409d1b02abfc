"""Files read within a bound, and what they hold."""

import hashlib
import os
import stat
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
