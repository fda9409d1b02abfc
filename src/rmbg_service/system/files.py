"""Files: what their suffixes say, their bytes within a bound, digests of their content."""

import hashlib
import os
import stat
from pathlib import Path

from rmbg_service.errors import ImageTooLarge, InvalidImage

IMAGE_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".avif", ".avifs"),
        *(".heic", ".heics", ".heif", ".heifs", ".hif"),
        *(".tif", ".tiff", ".gif", ".bmp", ".dib"),
    }
)
"""Suffixes of the image formats that can be decoded; what a folder is searched for.

The web page has the same list, in `static/intake.js`.
"""

VIDEO_SUFFIXES = frozenset(
    {
        *(".mp4", ".m4v", ".f4v", ".mov", ".qt", ".3gp", ".3g2", ".mj2", ".mkv", ".mk3d", ".webm"),
        *(".avi", ".divx", ".wmv", ".asf", ".flv", ".rm", ".rmvb", ".ogv", ".ogm", ".nut", ".ivf"),
        *(".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".vob", ".ts", ".m2ts", ".mts", ".m2t", ".trp"),
        *(".mxf", ".gxf", ".dv", ".wtv", ".y4m", ".h264", ".264", ".hevc", ".h265", ".265"),
    }
)
"""Suffixes of the video files that FFmpeg reads. An animated GIF is an image here."""


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """The file's bytes.

    Raises `ImageTooLarge` if there are more than `max_bytes`, `InvalidImage` if there are none or
    `path` is a pipe or another special file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise InvalidImage("not a regular file")  # reading a pipe could wait forever
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if not data:
        raise InvalidImage("the file is empty")
    if len(data) > max_bytes:
        raise ImageTooLarge(
            "the file is larger than the {most:,} bytes that are accepted", most=max_bytes
        )
    return data


def home_folder() -> Path:
    """The user's home folder; a path where nothing is if the system does not know one."""
    try:
        return Path.home()
    except RuntimeError:  # no HOME, and a user without an entry, as containers have them
        return Path("/nonexistent")


def is_file(path: str | Path) -> bool:
    """Whether `path` is a file or a link to one; False if that cannot be determined."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises where access is denied


def is_folder(path: str | Path) -> bool:
    """Whether `path` is a folder or a link to one; False if that cannot be determined."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises where access is denied


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file; False if one has none, or that cannot be determined."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def absolute_path(path: Path) -> str:
    """The absolute path as text; links are not resolved."""
    return os.path.abspath(path)  # noqa: PTH100 - Path.resolve follows links


def real_path(path: str | Path) -> Path:
    """The absolute path without links; a link that leads to itself stays in it."""
    return Path(os.path.realpath(path))  # Path.resolve raises for such a link before Python 3.13


def is_unicode(path: str | Path) -> bool:
    """Whether `path` can be written in JSON: on POSIX a name may be any bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of the file's content in hexadecimal. Raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
