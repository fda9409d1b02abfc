"""Locks on files and folders, which end with their process at the latest."""

import os
import sys
from pathlib import Path

if sys.platform != "win32":
    import fcntl


def lock(descriptor: int, *, wait: bool) -> None:
    """Lock an open file or folder until it is closed.

    Raises `BlockingIOError` if it is locked and `wait` is False, and another `OSError` if there are
    no such locks, as on Windows and on some network file systems.
    """
    if sys.platform == "win32":
        raise OSError("there are no such locks")
    fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


class FolderLock:
    """Holds a folder, which is made if it is missing; others can still read and write in it.

    Raises `BlockingIOError` while another one holds it, and another `OSError` if it cannot be made
    or locked.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(folder, os.O_RDONLY)
        try:
            lock(self._descriptor, wait=False)
        except OSError:
            os.close(self._descriptor)
            raise

    def close(self) -> None:
        """Let others hold the folder."""
        os.close(self._descriptor)
