"""Folders of object stores and other file systems, by their URLs (fsspec)."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import Any

from rmbg_service.errors import ConfigurationError, ImageTooLarge
from rmbg_service.system.atomic import atomic_write, remove_leftovers
from rmbg_service.system.extras import missing_extra

_DIGESTS = ("ETag", "etag", "md5Hash", "content_md5", "checksum")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified")


def is_url(text: str) -> bool:
    """Whether `text` names an object or a folder of a file system, such as `s3://bucket/a`."""
    return "://" in text


@dataclass(frozen=True)
class StoredObject:
    """An object of a listing; `version` changes with its content: its ETag, or size and time."""

    path: str
    size: int
    version: str


class Store:
    """The file system of a URL or a local path; `root` is its folder there.

    Credentials and endpoints are found as the file system's library finds them, such as in `AWS_*`.
    Can be pickled; methods may be called from any thread and raise `OSError`. Raises
    `ConfigurationError` if there is no such file system or its library is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            import fsspec  # an object store is the only use: 0.1 s
        except ModuleNotFoundError:
            raise missing_extra("cloud", "an object store") from None
        self.url = url.rstrip("/")
        try:
            self._fs, root = fsspec.core.url_to_fs(
                self.url if is_url(url) else str(Path(url).absolute()),
                use_listings_cache=False,
            )
        except (ImportError, ValueError) as error:
            raise ConfigurationError(f"{url}: {error}") from None
        self.root = str(root).rstrip("/")
        self._is_local = not is_url(url) or url.startswith(("file://", "local://"))

    @property
    def file_system(self) -> Any:
        """The file system, without the folder: equal and of one hash for all of its stores."""
        return self._fs

    def find(self) -> list[StoredObject]:
        """All objects below the root, at any depth, or the one that it names, in a fixed order.

        If there is nothing and the root is a pattern with `*`, `?` or `[`, what matches it. Raises
        `ConfigurationError` if the store does not allow it.
        """
        found: dict[str, Mapping[str, Any]] = {}
        try:
            with suppress(FileNotFoundError):
                found = self._fs.find(self.root, detail=True)
            if not found and has_magic(self.root):
                found = self._fs.glob(self.root, detail=True)
        except Exception as error:  # each library has its own, for missing credentials and more
            reason = str(error) or type(error).__name__
            raise ConfigurationError(f"{self.url} cannot be listed: {reason}") from None
        return [
            StoredObject(path, int(info["size"] or 0), _version(info))
            for path, info in sorted(found.items())
            if info["type"] == "file"
        ]

    def read(self, found: StoredObject, max_bytes: int) -> bytes:
        """The object's bytes. Raises `ImageTooLarge` if there are more than `max_bytes`."""
        if found.size <= max_bytes:
            data: bytes = self._fs.cat_file(found.path)
            if len(data) <= max_bytes:  # it may have grown since
                return data
        raise ImageTooLarge(f"the file is larger than the {max_bytes:,} bytes that are accepted")

    def write(self, path: str, data: bytes) -> None:
        """Write an object, whole or not at all."""
        if self._is_local:  # other machines of a cluster, whose locks are not seen, write here too
            atomic_write(Path(path), data, sweep=False)
        else:
            self._fs.pipe_file(path, data)

    def sweep(self, folders: Iterable[str]) -> None:
        """Delete what killed runs left in local folders; a killed write leaves no object."""
        if self._is_local:
            for folder in folders:
                remove_leftovers(Path(folder))

    def name_of(self, path: str) -> str:
        """The URL of an object, or the path of a local file."""
        return path if self._is_local else str(self._fs.unstrip_protocol(path))

    def below(self, name: str) -> str:
        """The path of `name` below the root."""
        return f"{self.root}/{name}"


def _version(info: Mapping[str, Any]) -> str:
    for name in _DIGESTS:
        if info.get(name):
            return str(info[name]).strip('"')
    times = [str(info[name]) for name in _TIMES if info.get(name)]
    return "-".join([str(info["size"]), *times[:1]])
