"""The folders in which an agent may read and write files."""

import os
from collections.abc import Sequence
from pathlib import Path

from rmbg_service.errors import ClientError, ConfigurationError
from rmbg_service.system.files import IMAGE_SUFFIXES, is_folder, is_unicode, real_path

_MAX_PARTS = 100


class PathRefused(ClientError):
    """This path is not in a folder that may be used, or must not be written."""

    type = "path-refused"
    title = "Path refused"


class Folders:
    """Paths in `folders`, of which there is at least one, and in no other folder.

    Links are resolved first, so that a link in a folder does not lead out of it. Raises
    `ConfigurationError` for what is not a folder, or has a name that no message can hold.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            if not is_folder(folder.expanduser()):
                raise ConfigurationError(f"{folder} is not a folder")
        self.paths = [real_path(folder.expanduser()) for folder in folders]
        for path in self.paths:
            if not is_unicode(path):
                raise ConfigurationError(f"{path!r}: the name of the folder is not UTF-8")

    def __str__(self) -> str:
        """The folders, as an agent is told of them."""
        return ", ".join(map(str, self.paths))

    def resolve(self, text: str) -> Path:
        """The absolute path without links; a relative one begins in the first folder.

        Raises `PathRefused` if it is outside the folders, or not a path.
        """
        if "\0" in text:
            raise PathRefused("a path must not have control characters")
        if not is_unicode(text):
            raise PathRefused("a path must be UTF-8")
        if len(Path(text).parts) > _MAX_PARTS:
            raise PathRefused(f"a path has at most {_MAX_PARTS} parts")
        named = Path(text).expanduser() if text.startswith("~/") else Path(text)
        path = real_path(self.paths[0] / named)
        if not any(path.is_relative_to(folder) for folder in self.paths):
            raise PathRefused(f"{text} is outside the folders that may be used: {self}")
        if not is_unicode(path):
            raise PathRefused(f"{text} leads to a name that is not UTF-8")
        return path

    def images(self, limit: int) -> list[str]:
        """At most `limit` paths of image files, those of each folder in order; links are left out.

        Hidden files and folders are, too, and names that are not UTF-8: no message can hold them.
        """
        found: dict[str, None] = {}  # in order, and each once: a folder may be in another
        for top in self.paths:
            for folder, inner, names in os.walk(top):
                inner[:] = sorted(name for name in inner if not name.startswith("."))
                paths = (Path(folder, name) for name in sorted(names) if not name.startswith("."))
                images = (path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES)
                found |= {
                    str(path): None for path in images if is_unicode(path) and not path.is_symlink()
                }
                if len(found) >= limit:
                    return [*found][:limit]
        return [*found]
