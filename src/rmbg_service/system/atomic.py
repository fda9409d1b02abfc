"""Files that are written whole or not at all."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def atomic_write(path: Path, data: bytes) -> None:
    """Write `data` to `path`; see `atomic_replace`."""
    with atomic_replace(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def atomic_replace(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; its file replaces `path` when the block ends.

    A reader of `path` sees the old file or the whole new one, even after a power cut. After an
    error the old file stays. The temporary name is hidden and always the same for one `path`, so
    that a killed process leaves at most one file behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    temporary = path.with_name(f".{name}.part")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # Windows cannot open folders
        _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
