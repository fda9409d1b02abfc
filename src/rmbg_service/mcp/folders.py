"""The folders in which an agent may read and write files."""

import os
from collections.abc import Sequence
from pathlib import Path

from rmbg_service.errors import ClientError, ConfigurationError
from rmbg_service.system.files import IMAGE_SUFFIXES, is_folder, real_path


class PathRefused(ClientError):
    """This path is not in a folder that may be used, or must not be written."""

    type = "path-refused"
    title = "Path refused"


class Folders:
    """Paths in `folders`, of which there is at least one, and in no other folder.

    Links are resolved first, so that a link in a folder does not lead out of it. Raises
    `ConfigurationError` for what is not a folder.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            if not is_folder(folder.expanduser()):
                raise ConfigurationError(f"{folder} is not a folder")
        self.paths = [real_path(folder.expanduser()) for folder in folders]

    def __str__(self) -> str:
        """The folders, as an agent is told of them."""
        return ", ".join(map(str, self.paths))

    def resolve(self, text: str) -> Path:
        """The absolute path without links; a relative one begins in the first folder.

        Raises `PathRefused` if it is outside the folders.
        """
        if "\0" in text:
            raise PathRefused("a path must not have control characters")
        named = Path(text).expanduser() if text.startswith("~/") else Path(text)
        path = real_path(self.paths[0] / named)
        if not any(path.is_relative_to(folder) for folder in self.paths):
            raise PathRefused(f"{text} is outside the folders that may be used: {self}")
        return path

    def images(self, limit: int) -> list[str]:
        """At most `limit` paths of image files, those of each folder in order; links are left out.

        Hidden files and folders are, too.
        """
        found: list[str] = []
        for top in self.paths:
            for folder, inner, names in os.walk(top):
                inner[:] = sorted(name for name in inner if not name.startswith("."))
                paths = (Path(folder, name) for name in sorted(names) if not name.startswith("."))
                images = (path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES)
                found += [str(path) for path in images if not path.is_symlink()]
                if len(found) >= limit:
                    return found[:limit]
        return found
