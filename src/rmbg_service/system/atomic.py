"""Files that are written whole or not at all."""

import errno
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from rmbg_service.system.locks import lock

_PREFIX, _SUFFIX = ".rmbg-service-", ".part"
_FULL = (errno.ENOSPC, errno.EDQUOT)


def atomic_write(path: Path, data: bytes, *, sweep: bool = True) -> None:
    """Write `data` to `path`; see `atomic_replace`."""
    with atomic_replace(path, sweep=sweep) as temporary:
        temporary.write_bytes(data)


@contextmanager
def atomic_replace(path: Path, *, sweep: bool = True) -> Iterator[Path]:
    """Yield a temporary file in the same folder that replaces `path` when the block ends.

    A reader of `path` sees the old file or the whole new one, even after a power cut. After an
    error the old file stays; an `OSError` names `path` and not the temporary file. Several writers
    do not disturb each other: the last one counts.

    A killed process leaves its temporary file behind, hidden and with the suffix `.part`. The first
    call of a process for a folder removes such files, unless `sweep` is False.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if sweep:
        _sweep_once(path.parent)
    try:
        with _temporary_file(path.parent) as temporary:
            yield temporary
            _sync(temporary)
            temporary.replace(path)
    except OSError as error:
        if _is_of_temporary(error):
            error.filename, error.filename2 = str(path), None
        raise
    if os.name == "posix":  # Windows cannot open folders
        with suppress(OSError):  # a file system that cannot do this for folders
            _sync(path.parent)


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files in `folder` whose processes have been killed.

    Those of living processes are locked, and stay. Without locks, as on Windows and on some network
    file systems, nothing is deleted.
    """
    for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(OSError):  # locked, deleted by another process, or of another user
            descriptor = os.open(path, os.O_RDWR)
            try:
                lock(descriptor, wait=False)
                path.unlink()
            finally:
                os.close(descriptor)


@lru_cache(maxsize=1024)
def _sweep_once(folder: Path) -> None:
    remove_leftovers(folder)


@contextmanager
def _temporary_file(folder: Path) -> Iterator[Path]:
    """A new file, which is locked as long as its process lives."""
    path, descriptor = _create(folder)
    try:
        if sys.platform == "win32":  # an open file cannot be renamed there
            os.close(descriptor)
        yield path
    finally:
        path.unlink(missing_ok=True)
        if sys.platform != "win32":
            os.close(descriptor)


def _create(folder: Path) -> tuple[Path, int]:
    while True:
        path = folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        with suppress(OSError):  # a file system without locks
            lock(descriptor, wait=True)
        if path.exists():  # else another process has deleted it before it was locked
            return path, descriptor
        os.close(descriptor)


def _is_of_temporary(error: OSError) -> bool:
    if isinstance(error.filename, str):
        return Path(error.filename).name.startswith(_PREFIX)
    return error.filename is None and error.errno in _FULL  # a write names no file


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
